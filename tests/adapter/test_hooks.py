from __future__ import annotations

import functools
import json
from asyncio import CancelledError
from typing import Any

import pytest

from greenroom.adapter._codec import NotEncodable
from greenroom.adapter._hooks import PayloadHooks
from greenroom.adapter._packets import BadFrame, Event, Frame

from .codec_suite import codec_suite


def read_json(payload: str, message: dict[str, object]) -> tuple[str, object]:
    fields = json.loads(payload)
    return fields["event"], fields["data"]


def as_fields(event: str, data: object) -> dict[str, object]:
    return {"event": event, "data": data}


TestPayloadHooksAsACodec = codec_suite(
    lambda: PayloadHooks(read_json, as_fields, "ws"),
    namespaces_travel=False,
    acks_travel=False,
)


# Reading


@pytest.mark.parametrize("frame", ["hello", "", b"\x00\xff", b""])
def test_without_a_hook_every_frame_is_the_path_s_event(frame: Frame) -> None:
    assert PayloadHooks(None, None, "ws").decode(frame) == Event("ws", frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("hi", {"type": "websocket.receive", "text": "hi", "bytes": None}),
        ("", {"type": "websocket.receive", "text": "", "bytes": None}),
        (b"hi", {"type": "websocket.receive", "text": None, "bytes": b"hi"}),
    ],
)
def test_the_hook_gets_the_payload_and_the_message_as_asgi_has_it(
    frame: Frame, message: dict[str, object]
) -> None:
    def preprocess(payload: Frame, message: object) -> tuple[str, object]:
        return "got", (payload, message)

    read = PayloadHooks(preprocess, None, "ws").decode(frame)
    assert read == Event("got", (frame, message))


def test_the_hook_may_return_a_list() -> None:
    def preprocess(payload: str, message: object) -> Any:
        return json.loads(payload)

    hooks = PayloadHooks(preprocess, None, "ws")
    assert hooks.decode('["say", 1]') == Event("say", 1)


def test_what_the_hook_raises_is_the_cause_and_stays_here() -> None:
    with pytest.raises(BadFrame) as refusal:
        PayloadHooks(read_json, None, "ws").decode('{"secret')
    assert refusal.value.code == "preprocess_failed"
    assert isinstance(refusal.value.__cause__, json.JSONDecodeError)
    assert "secret" not in str(refusal.value)
    assert "Unterminated" not in str(refusal.value)


class Panic(BaseException):
    """What Rust raises by way of PyO3 is no Exception either."""


@pytest.mark.anyio
@pytest.mark.parametrize("error", [CancelledError, Panic])
async def test_what_a_hook_fails_with_need_be_no_exception(
    error: type[BaseException],
) -> None:
    def hook(*_: object) -> Any:
        raise error

    hooks = PayloadHooks(hook, hook, "ws")
    with pytest.raises(BadFrame):
        hooks.decode("frame")
    with pytest.raises(NotEncodable):
        hooks.event("event", None, "/", None)


def test_what_a_hook_raises_for_the_process_is_raised_as_it_is() -> None:
    def hook(*_: object) -> Any:
        raise SystemExit

    hooks = PayloadHooks(hook, hook, "ws")
    with pytest.raises(SystemExit):
        hooks.decode("frame")
    with pytest.raises(SystemExit):
        hooks.event("event", None, "/", None)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "got an object of type NoneType"),
        ("ab", "got an object of type str"),
        ({"event": "say", "data": 1}, "got an object of type dict"),
        ((), "got a tuple of 0: "),
        (("say",), "got a tuple of 1: str"),
        (["say", 1, None], "got a list of 3: str, int, NoneType"),
        ((1, "say"), "got a tuple of 2: int, str"),
        (tuple(range(99)), "got a tuple of 99: int, int, int, int"),
    ],
)
def test_a_hook_that_returns_something_else_is_told_what_was_expected(
    made: object, said: str
) -> None:
    def preprocess(payload: str, message: object) -> Any:
        return made

    hooks = PayloadHooks(preprocess, None, "ws")
    with pytest.raises(BadFrame) as refusal:
        hooks.decode("x")
    assert refusal.value.code == "preprocess_failed"
    assert "a pair, the event's name and its data" in refusal.value.message
    assert refusal.value.message.endswith(said)


@pytest.mark.parametrize("frame", ["é" * 5, b"x" * 10])
def test_a_frame_is_measured_before_the_hook_sees_it(frame: Frame) -> None:
    seen: list[Frame] = []

    def preprocess(payload: Frame, message: object) -> tuple[str, object]:
        seen.append(payload)
        return "got", payload

    with pytest.raises(BadFrame) as refusal:
        PayloadHooks(preprocess, None, "ws", max_bytes=9).decode(frame)
    assert refusal.value.code == "too_large"
    assert not seen
    assert PayloadHooks(preprocess, None, "ws", max_bytes=10).decode(frame)
    assert seen == [frame]


# Writing


@pytest.mark.parametrize(
    ("payload", "frame"),
    [
        ("hello", "hello"),
        ("", ""),
        ("é😀", "é😀"),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (None, "null"),
        (7, "7"),
        ({"a": [1]}, '{"a":[1]}'),
        ({1: 2}, '{"1":2}'),
    ],
)
def test_a_payload_travels_as_its_type_says(payload: object, frame: Frame) -> None:
    plain = PayloadHooks(None, None, "ws")
    assert plain.event("said", payload, "/", None) == frame

    def post_process(event: str, data: object) -> object:
        return payload

    hooked = PayloadHooks(None, post_process, "ws")
    assert hooked.event("said", "unused", "/chat", None) == frame


def test_the_hook_gets_the_event_and_its_data() -> None:
    hooks = PayloadHooks(None, as_fields, "ws")
    assert hooks.event("said", [1], "/", None) == '{"event":"said","data":[1]}'


def test_what_the_hook_raises_on_the_way_out_is_the_cause() -> None:
    def post_process(event: str, data: object) -> object:
        raise LookupError("no such template")

    with pytest.raises(NotEncodable, match=r"LookupError.*'said'") as refusal:
        PayloadHooks(None, post_process, "ws").event("said", 1, "/", None)
    assert refusal.value.event == "said"
    assert isinstance(refusal.value.__cause__, LookupError)


@pytest.mark.parametrize(
    ("payload", "path", "kind"),
    [
        ({3}, None, "set"),
        ([{"a": {3}}], "[0].a", "set"),
        ({"a": {3}}, "a", "set"),
        ("\ud800", None, "str"),
    ],
)
def test_a_payload_without_a_form_is_not_encodable(
    payload: object, path: str | None, kind: str
) -> None:
    with pytest.raises(NotEncodable, match="'said'") as refusal:
        PayloadHooks(None, None, "ws").event("said", payload, "/", None)
    assert (refusal.value.event, refusal.value.path) == ("said", path)
    assert refusal.value.kind == kind


def test_an_error_looks_as_nestipy_s_own_adapter_sends_it() -> None:
    hooks = PayloadHooks(None, as_fields, "ws")
    assert hooks.error("internal", "try again") == (
        '{"event":"error","error":{"code":"internal","message":"try again"}}'
    )


# Options


async def awaitable(*arguments: object) -> None: ...


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"preprocess": "json"},
            TypeError,
            "preprocess must be a function or None, got 'json'",
        ),
        (
            {"post_process": 7},
            TypeError,
            "post_process must be a function or None, got 7",
        ),
        (
            {"preprocess": awaitable},
            TypeError,
            "preprocess must be a plain function, got the async <function awaitable",
        ),
        (
            {"post_process": functools.partial(awaitable, 1)},
            TypeError,
            "post_process must be a plain function, got the async functools.partial",
        ),
        ({"path_event": None}, TypeError, "path_event must be a string, got None"),
        ({"max_bytes": 0}, ValueError, "max_bytes must be an int of at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused_when_made(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    good: dict[str, Any] = {
        "preprocess": None,
        "post_process": None,
        "path_event": "ws",
    }
    with pytest.raises(error, match=message):
        PayloadHooks(**{**good, **options})
