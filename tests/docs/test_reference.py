"""docs/reference.md: up to date, complete, and right about the wire."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import greenroom
import greenroom.testing
from greenroom import ActorAdapter, Client, EventError, Excess, Options
from greenroom.testing import MemoryClient, TransportClosed, connect, connect_raw

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference.md").read_text(encoding="utf-8")


def builder() -> Any:
    """docs/build_reference.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location(
        "build_reference", DOCS / "build_reference.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(title: str) -> list[list[str]]:
    """The rows of the first table below *title*."""
    section = re.split(rf"^## {title}$", REFERENCE, flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None
    return [
        [cell.strip().strip("`") for cell in row.strip("|").split("|")]
        for row in rows[0].splitlines()[2:]
    ]


def test_it_is_what_the_docstrings_say() -> None:
    assert builder().build(REFERENCE) == REFERENCE, (
        "docs/reference.md is stale: run python docs/build_reference.py"
    )


def test_it_has_every_public_name() -> None:
    described = set(re.findall(r"^### (\w+)$", REFERENCE, re.MULTILINE))

    assert {*greenroom.__all__, *greenroom.testing.__all__} - described == set()


def test_every_option_has_its_default_its_unit_and_what_happens_at_the_limit() -> None:
    rows = table("Options")
    names = [field.name for field in dataclasses.fields(Options)]

    assert [row[0] for row in rows] == names
    assert [row for row in rows if len(row) != 5 or not all(row)] == []


def test_nothing_is_said_of_options_that_there_are_not() -> None:
    names = {field.name for field in dataclasses.fields(Options)}
    made = builder()

    assert made.AT_THE_LIMIT.keys() == names
    assert made.UNITS.keys() <= names
    # One that says its unit by its name says it once.
    assert not [name for name in made.UNITS if name.endswith((*made.UNITS_BY_NAME,))]


# -- error codes -----------------------------------------------------------

# A frame for every code that is about a frame.
UNREADABLE: dict[str, str | bytes] = {
    "binary": b"{}",
    "too_large": '"' + "x" * 1000 + '"',
    "too_deep": "[" * 40 + "]" * 40,
    "malformed": "{",
    "not_an_object": "[]",
    "ambiguous": '{"event": "say", "ack": 1}',
    "bad_event": '{"event": "__say"}',
    "bad_namespace": '{"event": "say", "namespace": "chat"}',
    "bad_id": '{"event": "say", "id": "7"}',
    "bad_ack": '{"ack": "7"}',
}
# An event for every code that is about an event.
FAILING = {
    "unknown_namespace": ("say", "/nowhere"),
    "unknown_event": ("nothing", "/"),
    "not_encodable": ("return an object", "/"),
    "internal_error": ("raise", "/"),
}


def adapter_with_handlers(**options: Any) -> ActorAdapter:
    adapter = ActorAdapter(options=Options(max_message_bytes=500, **options))

    @adapter.on("return an object")
    async def return_an_object(event: str, client: Client, data: object) -> object:
        return object()

    @adapter.on("raise")
    async def raise_something(event: str, client: Client, data: object) -> None:
        raise LookupError("a secret")

    @adapter.on("leave")
    async def leave(event: str, client: Client, data: Any) -> None:
        await client.disconnect(*data)

    return adapter


def test_every_error_code_of_the_table_is_tried_here() -> None:
    tried = {*UNREADABLE, "preprocess_failed", "rate_limited"}, {*FAILING}
    rows = table("Error codes")

    assert {code for code, strike, _ in rows if strike == "yes"} == tried[0]
    assert {code for code, strike, _ in rows if strike == "no"} == tried[1]


@pytest.mark.anyio
@pytest.mark.parametrize("code", UNREADABLE)
async def test_a_frame_that_cannot_be_read_is_a_strike(code: str) -> None:
    adapter = adapter_with_handlers()
    async with adapter.running(), connect(adapter) as client:
        await client.peer.send(UNREADABLE[code])
        with pytest.raises(EventError) as raised:
            await client.receive()
        assert raised.value.code == code
        assert adapter.statistics().strikes == 1


@pytest.mark.anyio
async def test_a_payload_that_the_hook_cannot_read_is_a_strike() -> None:
    def read(payload: str, message: object) -> tuple[str, object]:
        raise ValueError(payload)

    adapter = ActorAdapter("/ws", read)
    async with adapter.running(), connect_raw(adapter) as peer:
        await peer.send("nonsense")
        assert '"code":"preprocess_failed"' in str(await peer.receive())
        assert adapter.statistics().strikes == 1


@pytest.mark.anyio
async def test_a_message_beyond_the_rates_is_a_strike() -> None:
    adapter = adapter_with_handlers(
        message_rate=0.01, message_burst=1, excess=Excess.STRIKE
    )
    async with adapter.running(), connect_raw(adapter) as peer:
        await peer.send("{}")
        assert '"code":"bad_event"' in str(await peer.receive())
        await peer.send('{"event": "say", "id": 1}')
        answer = str(await peer.receive())
        assert '"code":"rate_limited"' in answer
        assert '"ack"' not in answer
        assert adapter.statistics().strikes == 2


@pytest.mark.anyio
@pytest.mark.parametrize("code", FAILING)
async def test_an_event_that_fails_is_no_strike(code: str) -> None:
    event, namespace = FAILING[code]
    adapter = adapter_with_handlers()
    async with adapter.running(), connect(adapter) as client:
        # In the ack where one is wanted, else by itself.
        with pytest.raises(EventError) as in_the_ack:
            await client.call(event, namespace=namespace)
        assert in_the_ack.value.code == code
        assert "secret" not in in_the_ack.value.message
        assert adapter.statistics().strikes == 0
        if code != "not_encodable":  # nothing is sent where nothing is wanted
            await client.emit(event, namespace=namespace)
            with pytest.raises(EventError) as by_itself:
                await client.receive()
            assert by_itself.value.code == code


# -- close codes -----------------------------------------------------------

Ending = Callable[[ActorAdapter, MemoryClient], Awaitable[object]]


async def disconnect(adapter: ActorAdapter, client: MemoryClient) -> None:
    await client.emit("leave", [])


async def drain(adapter: ActorAdapter, client: MemoryClient) -> None:
    await adapter.drain()


async def announce_a_restart(adapter: ActorAdapter, client: MemoryClient) -> None:
    await adapter.drain(code=1012, reason="restarting")


async def strike_out(adapter: ActorAdapter, client: MemoryClient) -> None:
    await client.peer.send("nonsense")
    await client.peer.send("nonsense")


async def read_too_slowly(adapter: ActorAdapter, client: MemoryClient) -> None:
    client.peer.stall()
    while client.peer.opened.is_set() and not adapter.statistics().overflows:
        await adapter.broadcast("news")
    client.peer.unstall()


ENDINGS: list[tuple[Ending, int, str]] = [
    (disconnect, 1000, ""),
    (drain, 1001, "going away"),
    (announce_a_restart, 1012, "restarting"),
    (strike_out, 1008, "too many unreadable messages"),
    (read_too_slowly, 1013, "too slow: pending messages"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("end", "code", "reason"), ENDINGS)
async def test_the_client_is_told_why(end: Ending, code: int, reason: str) -> None:
    adapter = adapter_with_handlers(max_strikes=1, outbox_messages=4)
    async with adapter.running(), connect(adapter) as client:
        await end(adapter, client)
        assert await client.wait_closed() == code
        assert client.close_reason == reason

    assert str(code) in {row[0] for row in table("Close codes")}


async def ask_too_much(adapter: ActorAdapter, client: MemoryClient) -> None:
    for _ in range(3):
        await client.peer.send('{"ack": 1}')


async def say_nothing(adapter: ActorAdapter, client: MemoryClient) -> None:
    async def never(data: object) -> None:
        await anyio.sleep_forever()

    client.on_call("ping", never)


LIMITS: list[tuple[Ending, dict[str, Any], int, str]] = [
    (
        ask_too_much,
        {"message_rate": 0.01, "message_burst": 1, "excess": Excess.CLOSE},
        *(1008, "too many messages"),
    ),
    (
        ask_too_much,
        {"byte_rate": 0.01, "byte_burst": 10, "excess": Excess.STRIKE},
        *(1008, "too many messages"),
    ),
    (
        say_nothing,
        {"ping_seconds": 0.02, "pong_seconds": 0.02},
        *(3008, "no answer to a ping"),
    ),
    (say_nothing, {"idle_seconds": 0.02}, 3008, "idle"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("end", "options", "code", "reason"), LIMITS)
async def test_the_client_is_told_which_limit_it_was(
    end: Ending, options: dict[str, Any], code: int, reason: str
) -> None:
    adapter = adapter_with_handlers(max_strikes=1, **options)
    async with adapter.running(), connect(adapter) as client:
        await end(adapter, client)
        assert await client.wait_closed() == code
        assert client.close_reason == reason

    assert [str(code), reason] in [row[:2] for row in table("Close codes")]


@pytest.mark.anyio
async def test_without_words_a_rejection_is_1008() -> None:
    adapter = ActorAdapter()

    @adapter.on_connect()
    async def reject(event: str, client: Client, data: object) -> None:
        client.reject()

    async with adapter.running(), connect(adapter) as client:
        assert await client.wait_closed() == 1008


@pytest.mark.anyio
async def test_a_connect_handler_that_raises_turns_nobody_away() -> None:
    adapter = adapter_with_handlers()

    @adapter.on_connect()
    async def fail(event: str, client: Client, data: object) -> None:
        raise ConnectionError("the database is down")

    async with adapter.running(), connect(adapter) as client:
        with pytest.raises(EventError, match="internal_error"):
            await client.receive()
        await client.emit("leave", [4000, "bye"])
        assert await client.wait_closed() == 4000


@pytest.mark.anyio
async def test_a_stalled_client_is_1013_to_the_handler_and_hears_nothing() -> None:
    adapter = ActorAdapter(options=Options(send_seconds=0.01))
    gone = anyio.Event()
    ends: list[tuple[int | None, str]] = []

    @adapter.on_disconnect()
    async def bye(event: str, client: Client, data: object) -> None:
        ends.append((client.close_code, client.close_reason))
        gone.set()

    async with adapter.running(), connect_raw(adapter) as peer:
        peer.stall()
        while not ends:
            await adapter.broadcast("news")
            with anyio.move_on_after(0.01):
                await gone.wait()
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()

    assert ends == [(1013, "too slow: write deadline")]
    assert closed.value.code == 1006
