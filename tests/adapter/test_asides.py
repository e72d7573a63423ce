"""What is no message and counts all the same: how it is found, and who pays for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from greenroom import Excess
from greenroom.adapter._asides import Aside, Asides, want_asides, wants_asides
from greenroom.testing import MemoryPeer, TransportClosed

from .support import Chat, until

pytestmark = pytest.mark.anyio

wsproto = pytest.importorskip("wsproto.events")

MOST = 10


# -- how it is found -------------------------------------------------------


class Connection:
    """wsproto's, with the events of a test."""

    def __init__(self, *come: Any) -> None:
        self.come = list(come)

    def events(self) -> Iterator[Any]:
        while self.come:
            yield self.come.pop(0)


def piece(data: str | bytes, *, frame: bool = True, message: bool = False) -> Any:
    kind = wsproto.TextMessage if isinstance(data, str) else wsproto.BytesMessage
    return kind(data=data, frame_finished=frame, message_finished=message)


@pytest.mark.parametrize(
    ("come", "frames", "octets"),
    [
        pytest.param([], 0, 0, id="nothing"),
        pytest.param([piece("x" * 5, message=True)], 0, 0, id="a message"),
        pytest.param([wsproto.Ping(b"abc")], 1, 3, id="a ping"),
        pytest.param([wsproto.Pong(b"ab"), wsproto.Ping(b"")], 2, 2, id="a pong"),
        pytest.param([wsproto.CloseConnection(1000)], 0, 0, id="a goodbye"),
        # Its bytes are a message's, and count as that.
        pytest.param([piece("abc")], 1, 0, id="a fragment"),
        pytest.param([piece("abc", frame=False)], 0, 0, id="part of a frame"),
        pytest.param([piece("a"), piece("b", message=True)], 1, 0, id="in two"),
        pytest.param([piece(b"x" * MOST)], 1, 0, id="as long as may be"),
        pytest.param([piece(b"x" * (MOST + 3))], 1, 3, id="longer"),
        pytest.param([piece("é" * MOST)], 1, MOST, id="longer, in bytes"),
        pytest.param(
            [piece(b"x" * 8, frame=False), piece(b"x" * 8, frame=False)],
            1,
            6,
            id="longer, with its second part",
        ),
        pytest.param(
            [piece(b"x" * MOST, frame=False)] + [piece(b"yy", frame=False)] * 3,
            3,
            6,
            id="longer and longer",
        ),
        pytest.param(
            [piece(b"x" * 8), piece(b"", message=True), piece(b"x" * 8)],
            2,
            0,
            id="one message after the other",
        ),
    ],
)
def test_it_is_counted_while_wsproto_hands_over_what_it_always_does(
    come: list[Any], frames: int, octets: int
) -> None:
    asides = Asides(Connection(*come), MOST)
    assert list(asides()) == come
    assert asides.come == frames
    assert asides.take() == (frames, octets)
    assert asides.take() == (0, 0)


def test_it_goes_the_way_of_bytes_that_are_not_empty() -> None:
    aside = Aside(3, 40)
    assert isinstance(aside, bytes)
    assert aside
    assert (aside.frames, aside.octets, aside.endless) == (3, 40, False)


def test_who_wants_it_says_so_in_the_scope() -> None:
    scope: dict[str, Any] = {"extensions": {}}
    assert not wants_asides(scope)
    want_asides(scope)
    assert wants_asides(scope)
    # Where there is nobody to be asked, nothing is asked.
    for elsewhere in ({}, {"extensions": None}):
        want_asides(elsewhere)
        assert not wants_asides(elsewhere)
        assert not elsewhere.get("extensions")


# -- who pays for it -------------------------------------------------------


async def closed(peer: MemoryPeer) -> tuple[int, str]:
    try:
        while True:
            await peer.receive()
    except TransportClosed as end:
        return end.code, end.reason


async def echo(peer: MemoryPeer, data: object) -> float:
    """The seconds until a message is answered, that is sent now."""
    began = anyio.current_time()
    await peer.send(json.dumps({"event": "echo", "data": data, "id": 1}))
    while True:
        frame = json.loads(await peer.receive())
        if "ack" in frame:
            assert frame == {"ack": 1, "data": data}
            return anyio.current_time() - began


async def test_each_of_its_frames_takes_what_a_message_does() -> None:
    chat = Chat(message_rate=2.0, message_burst=10)
    async with chat.running(), chat.peer() as peer:
        await peer.send(Aside(4, 0))
        await peer.send(Aside(5, 0))
        assert await echo(peer, "the tenth") == 0
        assert chat.adapter.statistics().throttled == 0
        await peer.send(Aside(6, 0))
        assert await echo(peer, "the seventeenth") == pytest.approx(3.5)
        # Once for all of them together, and once for the message.
        assert chat.adapter.statistics().throttled == 2
        assert chat.adapter.statistics().inbound.accepted == 1 + 2


async def test_its_bytes_count_once() -> None:
    chat = Chat(byte_rate=100.0, byte_burst=1000)
    async with chat.running(), chat.peer() as peer:
        await peer.send(Aside(3, 1500))
        seconds = await echo(peer, "")
        assert seconds == pytest.approx((500 + 37) / 100, abs=0.1)
        assert chat.adapter.statistics().throttled == 2


async def test_with_strikes_each_frame_beyond_is_one() -> None:
    chat = Chat(message_rate=0.1, message_burst=5, excess=Excess.STRIKE, max_strikes=3)
    async with chat.running(), chat.peer() as peer:
        await peer.send(Aside(7, 0))
        for _ in range(2):
            assert json.loads(await peer.receive())["error"]["code"] == "rate_limited"
        statistics = chat.adapter.statistics()
        assert (statistics.strikes, statistics.rate_limited) == (2, 2)
        # And once it is too many, nothing counts any more, and nothing is said.
        await peer.send(Aside(300, 0))
        assert json.loads(await peer.receive())["error"]["code"] == "rate_limited"
        assert await closed(peer) == (1008, "too many messages")
        await until(lambda: chat.gone)
        statistics = chat.adapter.statistics()
        assert (statistics.strikes, statistics.rate_limited) == (4, 4)
        assert (statistics.struck_out, statistics.rate_closed) == (1, 0)


async def test_with_close_the_first_frame_beyond_is_the_end() -> None:
    chat = Chat(message_rate=0.1, message_burst=5, excess=Excess.CLOSE)
    async with chat.running(), chat.peer() as peer:
        await peer.send(Aside(300, 0))
        assert await closed(peer) == (1008, "too many messages")
        statistics = chat.adapter.statistics()
        assert (statistics.rate_closed, statistics.struck_out) == (1, 0)


@pytest.mark.parametrize("rate", [0.0, 100.0])
async def test_who_sends_a_message_without_end_is_told_and_disconnected(
    rate: float,
) -> None:
    chat = Chat(message_rate=rate)
    async with chat.running(), chat.peer() as peer:
        for _ in range(3):
            await peer.send(Aside(0, 0, endless=True))
        assert await closed(peer) == (1009, "message is too long")
        await until(lambda: chat.gone)
        assert chat.gone[0][1:] == (1009, "message is too long")
        # Once, whatever else comes of it.
        assert chat.adapter.statistics().oversized == 1
        assert chat.adapter.statistics().strikes == 0
