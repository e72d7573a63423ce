"""What of hypercorn has no bound, given one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import anyio
import pytest
from wsproto.connection import ConnectionState

from greenroom import ActorAdapter
from greenroom.adapter import TransportClosed
from greenroom.adapter import _tested as tested_module
from greenroom.adapter._asides import Asides, want_asides
from greenroom.adapter._pieces import Pieces
from greenroom.adapter._shield import Sips, bound_stream, mend_hypercorn

pytestmark = pytest.mark.anyio

EVENTS = pytest.importorskip("hypercorn.protocol.events")


# -- what makes it raise ---------------------------------------------------


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """hypercorn's own, which are mended; and one connection of its Trio worker."""

    class TCPServer:
        error: Exception | None = None

        async def run(self) -> None:
            if self.error is not None:
                raise self.error

    streams: Any = ModuleType("hypercorn.protocol.ws_stream")
    streams.split_comma_header = None
    server: Any = ModuleType("hypercorn.trio.tcp_server")
    server.TCPServer = TCPServer
    made = {each.__name__: each for each in (streams, server)}
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    return made


async def test_an_adapter_that_runs_mends_it(modules: dict[str, Any]) -> None:
    streams = modules["hypercorn.protocol.ws_stream"]
    async with ActorAdapter().running():
        split = streams.split_comma_header
    assert split(b"a, b ,c") == ["a", "b", "c"]
    assert split(b"\xff") == ["ÿ"]
    assert split(b"") == [""]


async def test_what_hypercorn_answers_of_its_own_accord_its_app_does_not(
    modules: dict[str, Any],
) -> None:
    answers: list[tuple[int, bool]] = []
    ends: list[object] = []

    class WSStream:
        closed = False
        stream_id = 7

        async def send(self, event: object) -> None:
            ends.append(event)

        async def _send_error_response(self, status: int) -> None:
            answers.append((status, self.closed))

    modules["hypercorn.protocol.ws_stream"].WSStream = WSStream
    for _ in range(2):
        mend_hypercorn()
    for status in (400, 404, 403, 500):
        stream: Any = WSStream()
        await stream._send_error_response(status)
    # Those that an app has asked for are its own.
    assert answers == [(400, True), (404, True), (403, False), (500, False)]
    # Of those that nobody else ends.
    assert ends == [EVENTS.StreamClosed(stream_id=7)] * 2


async def test_one_connection_does_not_end_the_others(
    modules: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    mend_hypercorn()
    mend_hypercorn()
    kind = modules["hypercorn.trio.tcp_server"].TCPServer
    await kind().run()
    assert caplog.records == []
    broken = kind()
    broken.error = ExceptionGroup("of a nursery", [ValueError()])
    await broken.run()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "hypercorn has failed over one connection"


def test_another_version_is_left_as_it_is(
    modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        return "0.19.0"

    monkeypatch.setattr(tested_module, "version", version)
    streams: ModuleType = modules["hypercorn.protocol.ws_stream"]
    before: dict[str, Any] = vars(streams).copy()
    mend_hypercorn()
    assert vars(streams) == before


def test_where_it_does_not_run_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hypercorn.protocol.ws_stream", "hypercorn.trio.tcp_server"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    mend_hypercorn()
    for name in ("hypercorn.protocol.ws_stream", "hypercorn.trio.tcp_server"):
        monkeypatch.delitem(sys.modules, name)
    mend_hypercorn()
    assert "hypercorn.protocol.ws_stream" not in sys.modules


# -- a little at a time ----------------------------------------------------


class Stream:
    """hypercorn's WebSocket stream, that keeps what it was given."""

    def __init__(self, left: int | None = None) -> None:
        self.events: list[Any] = []
        self.turns: list[int] = []
        self.others = 0
        self.closed = False
        self.buffer = SimpleNamespace(endless=False)
        self.told: list[Any] = []
        if left is not None:
            header = SimpleNamespace(payload_len=left + 7)
            decoder = SimpleNamespace(header=header, payload_consumed=7)
            proto = SimpleNamespace(_frame_decoder=decoder)
            open = ConnectionState.OPEN
            self.connection = SimpleNamespace(_proto=proto, state=open)

    async def handle(self, event: Any) -> None:
        self.events.append(event)
        self.turns.append(self.others)

    async def app_put(self, message: dict[str, Any]) -> None:
        assert (message["type"], message["text"]) == ("websocket.receive", None)
        self.told.append(message["bytes"])


async def handle(stream: Stream, event: Any) -> None:
    """Have *stream* handle *event* in sips, while another counts its turns."""

    async def count() -> None:
        while True:
            stream.others += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await anyio.lowlevel.checkpoint()
        await Sips(stream)(event)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("kind", [EVENTS.Data, EVENTS.Body])
async def test_much_is_taken_in_sips_and_others_have_turns(kind: Any) -> None:
    data = bytes(at % 256 for at in range(2500))
    stream = Stream()
    await handle(stream, kind(1, data))
    assert [type(each) for each in stream.events] == [kind] * 5
    assert b"".join(each.data for each in stream.events) == data
    assert {each.stream_id for each in stream.events} == {1}
    # Trio takes those who wait in any order, but all before any again.
    assert len(set(stream.turns)) >= 3


async def test_who_is_told_to_go_is_heard_in_the_smallest_sips() -> None:
    stream = Stream(left=0)
    stream.connection.state = ConnectionState.LOCAL_CLOSING
    await handle(stream, EVENTS.Data(1, bytes(640)))
    assert [len(each.data) for each in stream.events] == [64] * 10


async def test_little_is_taken_at_once_and_so_is_what_is_no_data() -> None:
    stream = Stream()
    for event in (EVENTS.Data(1, bytes(512)), EVENTS.StreamClosed(1)):
        await Sips(stream)(event)
        assert stream.events.pop() is event


@pytest.mark.parametrize(("left", "sips"), [(9600, 2), (10**4, 1), (10**9, 1), (5, 20)])
async def test_a_long_frame_that_has_begun_is_taken_in_one(
    left: int, sips: int
) -> None:
    stream = Stream(left)

    async def first(event: Any) -> None:
        await Stream.handle(stream, event)
        stream.connection._proto._frame_decoder.header = None

    class Once(Stream):
        async def handle(self, event: Any) -> None:
            await first(event)

    stream.__class__ = Once
    await Sips(stream)(EVENTS.Data(1, bytes(10_000)))
    assert len(stream.events) == sips
    assert len(stream.events[0].data) == min(10_000, max(512, left))


@pytest.mark.parametrize("begins", [0, 300, 512, 1000, 2047])
async def test_nothing_is_lost_or_doubled_wherever_a_long_frame_begins(
    begins: int,
) -> None:
    """Its head is read with what is before it; the rest of it comes in one."""
    data = bytes(at % 251 for at in range(5000))

    class Reading(Stream):
        async def handle(self, event: Any) -> None:
            await super().handle(event)
            read = sum(len(each.data) for each in self.events)
            header = self.connection._proto._frame_decoder.header
            header.payload_len = 7 + (len(data) - read if read > begins else 0)

    stream = Reading(left=0)
    await Sips(stream)(EVENTS.Data(1, data))
    assert b"".join(each.data for each in stream.events) == data
    assert len(stream.events) == begins // 512 + 2


def offered(accept: Callable[..., Any], **extensions: object) -> Any:
    """hypercorn's WebSocket stream before the accept."""
    return SimpleNamespace(
        buffer=Pieces(100, 1000),
        closed=False,
        handshake=SimpleNamespace(accept=accept),
        scope={"extensions": extensions},
    )


def test_who_has_left_is_not_accepted() -> None:
    stream = offered(lambda: None)
    stream.closed = True
    with pytest.raises(TransportClosed):
        bound_stream(stream, 100)
    assert not hasattr(stream, "handle")


def test_what_is_no_message_is_counted_for_who_wants_it() -> None:
    agreed = SimpleNamespace(_proto=SimpleNamespace(extensions=[]))
    stream = offered(lambda: (101, [], agreed))
    want_asides(stream.scope)
    bound_stream(stream, 100)
    stream.handshake.accept()
    assert agreed.events is stream.handle.asides


class Busy(Stream):
    """Has so many pings in each sip."""

    def __init__(self, pings: int) -> None:
        super().__init__()
        self.pings = pings
        self.sips = Sips(self)
        self.sips.asides = Asides(self, 100)

    async def handle(self, event: Any) -> None:
        await super().handle(event)
        assert self.sips.asides is not None
        self.sips.asides.come += self.pings


@pytest.mark.parametrize(("size", "sips"), [(1, 1), (1500, 3)])
async def test_the_app_is_told_what_each_sip_had_beside_messages(
    size: int, sips: int
) -> None:
    stream = Busy(7)
    await stream.sips(EVENTS.Data(1, bytes(size)))
    assert [aside.frames for aside in stream.told] == [7] * sips
    assert not any(aside.endless for aside in stream.told)
    stream.pings = 0
    await stream.sips(EVENTS.Data(1, bytes(size)))
    assert len(stream.told) == sips


@pytest.mark.parametrize("size", [1, 5000])
async def test_and_that_a_message_was_given_up(size: int) -> None:
    stream = Stream()
    stream.buffer.endless = True
    await Sips(stream)(EVENTS.Data(1, bytes(size)))
    assert all(aside.endless for aside in stream.told)
    assert len(stream.told) == len(stream.events)


async def test_once_its_client_has_gone_it_is_told_nothing() -> None:
    stream = Busy(7)
    stream.closed = True
    await stream.sips(EVENTS.Data(1, b"x"))
    assert stream.told == []


def test_what_inflates_is_bounded_as_soon_as_it_is_agreed() -> None:
    def begin(*head: Any) -> None:
        """See wsproto."""

    def accept(*words: Any) -> tuple[Any, ...]:
        return 101, words, agreed

    off, on = (
        SimpleNamespace(
            enabled=lambda agreed=agreed: agreed,
            frame_inbound_header=begin,
            _decompressor=None,
        )
        for agreed in (False, True)
    )
    agreed = SimpleNamespace(_proto=SimpleNamespace(extensions=[off, on]))
    stream = offered(accept)
    bound_stream(stream, 100)
    assert isinstance(stream.handle, Sips)
    assert stream.handshake.accept("chat", []) == (101, ("chat", []), agreed)
    assert off.frame_inbound_header is begin
    assert on.frame_inbound_header is not begin
    assert stream.handle.asides is None
    assert not hasattr(agreed, "events")
