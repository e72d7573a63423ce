from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.adapter._envelope import JsonEnvelope
from greenroom.adapter._packets import Ack, AckFailure, BadFrame, Event, Frame, Packet

from .codec_suite import codec_suite, json_values

TestJsonEnvelopeAsACodec = codec_suite(JsonEnvelope)


def refused(frame: Frame, codec: JsonEnvelope | None = None) -> BadFrame:
    with pytest.raises(BadFrame) as refusal:
        (codec or JsonEnvelope()).decode(frame)
    return refusal.value


# Reading


@pytest.mark.parametrize(
    ("frame", "packet"),
    [
        ('{"event":"say"}', Event("say", None, "/", None)),
        (
            '{"event":"say","data":[1],"namespace":"/chat","id":7}',
            Event("say", [1], "/chat", 7),
        ),
        (' {"id": 0, "event": "say"}\n', Event("say", None, "/", 0)),
        ('{"event":"say","id":9007199254740992}', Event("say", None, "/", 2**53)),
        ('{"event":"say","namespace":"/"}', Event("say", None)),
        ('{"event":"_","data":"héllo 😀"}', Event("_", "héllo 😀")),
        ('{"event":"say","other":1,"to":"all"}', Event("say", None)),
        ('{"event":"say","event":"shout"}', Event("shout", None)),
        ('{"event":"error","error":{"code":"x"}}', Event("error", None)),
        (
            '{"event":"say","data":null,"namespace":null,"id":null,"ack":null}',
            Event("say", None),
        ),
        ('{"ack":7}', Ack(7, None)),
        ('{"ack":0,"data":{"ok":true}}', Ack(0, {"ok": True})),
        ('{"ack":7,"data":1,"error":null,"event":null}', Ack(7, 1)),
        (
            '{"ack":7,"error":{"code":"busy","message":"later","more":1}}',
            AckFailure(7, "busy", "later"),
        ),
        ('{"ack":7,"id":"unused"}', Ack(7, None)),
    ],
)
def test_a_frame_is_read(frame: str, packet: Packet) -> None:
    assert JsonEnvelope().decode(frame) == packet


@pytest.mark.parametrize(
    ("frame", "code", "id"),
    [
        (b'{"event":"say"}', "binary", None),
        (b"", "binary", None),
        ("", "malformed", None),
        (" ", "malformed", None),
        ("{", "malformed", None),
        ("say", "malformed", None),
        ("{'event':'say'}", "malformed", None),
        ('{"event":"say"} {}', "malformed", None),
        ('\ufeff{"event":"say"}', "malformed", None),
        ('{"event":"say","data":NaN}', "malformed", None),
        ('{"event":"say","data":-Infinity}', "malformed", None),
        ('{"event":"say","data":1e999}', "malformed", None),
        ('{"event":"\ud800"}', "malformed", None),
        ('{"event":"\\ud800"}', "malformed", None),
        ("[]", "not_an_object", None),
        ('"say"', "not_an_object", None),
        ("null", "not_an_object", None),
        ("7", "not_an_object", None),
        ("true", "not_an_object", None),
        ("{}", "bad_event", None),
        ('{"id":7}', "bad_event", 7),
        ('{"event":null,"id":7}', "bad_event", 7),
        ('{"event":5,"id":7}', "bad_event", 7),
        ('{"event":["say"]}', "bad_event", None),
        ('{"event":{}}', "bad_event", None),
        ('{"event":""}', "bad_event", None),
        ('{"event":"__WS_ON_CONNECT__","id":7}', "bad_event", 7),
        ('{"event":"say","namespace":"chat","id":7}', "bad_namespace", 7),
        ('{"event":"say","namespace":""}', "bad_namespace", None),
        ('{"event":"say","namespace":5}', "bad_namespace", None),
        ('{"event":"say","namespace":["/"]}', "bad_namespace", None),
        ('{"event":"say","id":-1}', "bad_id", None),
        ('{"event":"say","id":9007199254740993}', "bad_id", None),
        ('{"event":"say","id":true}', "bad_id", None),
        ('{"event":"say","id":7.0}', "bad_id", None),
        ('{"event":"say","id":"7"}', "bad_id", None),
        ('{"event":"say","ack":7}', "ambiguous", None),
        ('{"event":"say","ack":7,"id":8}', "ambiguous", 8),
        ('{"event":"say","ack":7,"id":-8}', "ambiguous", None),
        ('{"ack":-1}', "bad_ack", None),
        ('{"ack":true}', "bad_ack", None),
        ('{"ack":"7","id":7}', "bad_ack", None),
        ('{"ack":9007199254740993}', "bad_ack", None),
        ('{"ack":7,"error":"busy"}', "bad_ack", None),
        ('{"ack":7,"error":{"code":"busy"}}', "bad_ack", None),
        ('{"ack":7,"error":{"code":1,"message":"x"}}', "bad_ack", None),
    ],
)
def test_a_frame_is_refused(frame: Frame, code: str, id: int | None) -> None:
    bad = refused(frame)
    assert (bad.code, bad.id) == (code, id)


@pytest.mark.parametrize("extra", [0, 1])
def test_names_have_at_most_256_characters(extra: int) -> None:
    event = {"event": "é" * (256 + extra)}
    namespace = {"event": "say", "namespace": "/" + "é" * (255 + extra)}
    for frame, code in [(event, "bad_event"), (namespace, "bad_namespace")]:
        text = json.dumps(frame, ensure_ascii=False)
        if extra:
            assert refused(text).code == code
        else:
            assert JsonEnvelope().decode(text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("__secret", "got '__secret'"),
        ("__" + "x" * 998, "got 1000 of '__" + "x" * 30 + "'..."),
        ("__\n\u2028é", r"got '__\n\u2028\xe9'"),
        (None, "got nothing"),
        (False, "got false"),
        (1.5, "got 1.5"),
        ([1, 2], "got an array"),
        ({"password": "x"}, "got an object"),
    ],
)
def test_a_refusal_says_what_came_in_few_and_safe_words(
    value: object, said: str
) -> None:
    assert refused(json.dumps({"event": value})).message.endswith(said)


# Bounds


@pytest.mark.parametrize("padding", ["x", "é", "한", "😀"])
def test_a_frame_is_measured_in_bytes_of_utf_8(padding: str) -> None:
    text = '{"event":"say","data":"' + padding * 50 + '"}'
    size = len(text.encode())
    assert JsonEnvelope(max_bytes=size).decode(text) == Event("say", padding * 50)
    assert refused(text, JsonEnvelope(max_bytes=size - 1)).code == "too_large"


def test_a_lone_surrogate_can_be_measured() -> None:
    assert refused("\ud800" * 10, JsonEnvelope(max_bytes=29)).code == "too_large"
    assert refused("\ud800" * 10, JsonEnvelope(max_bytes=30)).code == "malformed"


def test_a_frame_of_a_mebibyte_is_read_by_default_and_no_longer_one() -> None:
    text = '{"event":"say","data":"'
    text += "x" * (2**20 - len(text) - 2) + '"}'
    assert JsonEnvelope().decode(text)
    assert refused(text + " ").code == "too_large"


@pytest.mark.parametrize("levels", [2, 5, 32, 254])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}")])
def test_a_frame_nests_so_many_levels_and_no_more(
    levels: int, opening: str, closing: str
) -> None:
    codec = JsonEnvelope(max_depth=levels)

    def frame(depth: int) -> str:
        inner = depth - 1
        return '{"event":"a","data":' + opening * inner + "1" + closing * inner + "}"

    assert codec.decode(frame(levels))
    assert refused(frame(levels + 1), codec).code == "too_deep"


def test_brackets_side_by_side_or_in_strings_are_no_depth() -> None:
    data: list[object] = [[] for _ in range(100)]
    data += ["[" * 100, '\\"[{' * 100, "\\", "[" * 100, '"', {'[\\"': 1}]
    frame = json.dumps({"event": "say", "data": data})
    assert frame.count("[") > 300
    assert JsonEnvelope(max_depth=3).decode(frame) == Event("say", data)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, cast("dict[str, object]", value).values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, cast("list[object]", value)), default=0)
    return 0


bracketed = st.recursive(
    st.text('[]{}"\\:,a'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\'), inner),
    max_leaves=30,
)


@given(data=bracketed, limit=st.integers(2, 6))
def test_depth_is_what_a_recursive_count_makes_it(data: object, limit: int) -> None:
    frame = json.dumps({"event": "say", "data": data})
    codec = JsonEnvelope(max_depth=limit)
    if 1 + depth(data) > limit:
        assert refused(frame, codec).code == "too_deep"
    else:
        assert codec.decode(frame) == Event("say", data)


@pytest.mark.parametrize(
    ("start", "repeated", "code"),
    [
        ("", "[", "too_deep"),
        ("", "]", "malformed"),
        ("", "[]]", "malformed"),
        ("", "[]", "malformed"),
        ("", "{]", "malformed"),
        ("", '{"":', "too_deep"),
        ("", '"[', "too_deep"),
        ('"', '\\"[', "malformed"),
        ('"', "\\[", "malformed"),
        ("[" * 40 + "]" * 40, '"\\', "too_deep"),
        ("", "é[", "too_deep"),
        ("", "\ud800[", "too_deep"),
    ],
)
def test_a_mebibyte_of_garbage_is_refused_in_linear_time(
    start: str, repeated: str, code: str
) -> None:
    # Anything quadratic would take this test minutes.
    frame = start + repeated * (2**20 // len(repeated))
    assert refused(frame, JsonEnvelope(max_bytes=2**24)).code == code


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_bytes": 0}, ValueError, "max_bytes must be an int of at least 1, got 0"),
        ({"max_bytes": "1"}, TypeError, "max_bytes must be an int .*, got '1'"),
        ({"max_bytes": True}, TypeError, "max_bytes must be an int .*, got True"),
        ({"max_depth": 1}, ValueError, "max_depth must be an int 2 to 254, got 1"),
        ({"max_depth": 255}, ValueError, "max_depth must be an int 2 to 254, got 255"),
        ({"max_depth": 3.5}, TypeError, "max_depth must be an int .*, got 3.5"),
    ],
)
def test_wrong_options_are_refused_when_made(
    options: dict[str, int], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        JsonEnvelope(**options)


# Writing


def test_frames_are_written_as_documented() -> None:
    codec = JsonEnvelope()
    assert codec.event("said", [1, "é"], "/chat", 3) == (
        '{"event":"said","data":[1,"é"],"namespace":"/chat","id":3}'
    )
    assert codec.event("said", None, "/", None) == (
        '{"event":"said","data":null,"namespace":"/"}'
    )
    assert codec.ack(7, {"ok": True}) == '{"ack":7,"data":{"ok":true}}'
    assert codec.ack_failure(7, "busy", "later") == (
        '{"ack":7,"error":{"code":"busy","message":"later"}}'
    )
    assert codec.error("malformed", "expected JSON") == (
        '{"event":"error","error":{"code":"malformed","message":"expected JSON"}}'
    )


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@given(data=json_values)
def test_whatever_was_read_can_be_sent_on(data: object) -> None:
    codec = JsonEnvelope()
    frame = codec.ack(7, data)
    read = codec.decode(frame)
    assert isinstance(read, Ack)
    assert codec.ack(7, read.data) == frame


def test_the_deepest_frame_that_is_read_can_be_sent_on() -> None:
    codec = JsonEnvelope(max_depth=254)
    frame = codec.event("say", nested(253), "/", None)
    assert codec.decode(frame) == Event("say", nested(253))
