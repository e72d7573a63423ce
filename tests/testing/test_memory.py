from __future__ import annotations

import anyio
import pytest

from greenroom.adapter import Message, TransportClosed
from greenroom.testing import MemoryTransport, wait_idle

from ..adapter.transport_suite import Peer, TransportSuite

pytestmark = pytest.mark.anyio


class TestMemoryTransport(TransportSuite):
    def make(self) -> tuple[MemoryTransport, Peer]:
        transport = MemoryTransport()
        return transport, transport.peer


@pytest.mark.parametrize("limit", [0, -1])
def test_no_frames_at_all_is_no_transport(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_frames must be at least 1, got {limit}"):
        MemoryTransport(limit)


@pytest.mark.parametrize("limit", [True, "1", 1.5, None])
def test_a_limit_is_a_whole_number(limit: object) -> None:
    with pytest.raises(TypeError, match="max_frames must be an int"):
        MemoryTransport(limit)  # type: ignore[arg-type]


async def test_a_peer_that_left_is_not_accepted() -> None:
    transport = MemoryTransport()
    transport.peer.close(1001)
    with pytest.raises(TransportClosed) as closed:
        await transport.accept()
    assert closed.value.code == 1001


async def test_it_holds_as_many_frames_as_it_says() -> None:
    transport = MemoryTransport(3)
    assert [transport.try_send(Message(str(n))) for n in range(5)] == [True] * 3 + [
        False
    ] * 2


async def test_a_stalled_peer_takes_nothing_until_it_goes_on() -> None:
    transport = MemoryTransport()
    transport.peer.stall()
    transport.peer.stall()
    assert not transport.try_send(Message("no"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.send, "late")
        await wait_idle()
        transport.peer.unstall()
        assert await transport.peer.receive() == "late"
    assert transport.try_send(Message("yes"))


@pytest.mark.parametrize("shielded", [False, True])
async def test_a_stalled_send_can_be_cancelled_or_not(shielded: bool) -> None:
    transport = MemoryTransport()
    transport.peer.stall(shielded=shielded)
    ended = anyio.Event()

    async def send() -> None:
        try:
            await transport.send("hi")
        finally:
            ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await wait_idle()
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await wait_idle()
        assert ended.is_set() is not shielded
        transport.peer.unstall()


async def test_sends_to_a_silently_dropped_peer_neither_raise_nor_yield() -> None:
    transport = MemoryTransport()
    transport.peer.drop(silent=True)
    with pytest.raises(StopIteration):
        transport.send("into the void").send(None)
    assert not transport.try_send(Message("into the void"))
    with pytest.raises(TransportClosed):
        await transport.receive()


async def test_sends_raise_what_the_peer_says() -> None:
    transport = MemoryTransport()
    transport.peer.fail_sends(OSError("reset"))
    with pytest.raises(OSError, match="reset"):
        await transport.send("hi")
    assert not transport.try_send(Message("hi"))


async def test_a_close_needs_room_like_any_frame() -> None:
    transport = MemoryTransport(1)
    await transport.send("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.close, 4000, "bye")
        await wait_idle()
        assert await transport.peer.receive() == "first"
        with pytest.raises(TransportClosed) as closed:
            await transport.peer.receive()
        assert closed.value.code == 4000


async def test_an_aborted_peer_finds_nothing_more() -> None:
    transport = MemoryTransport()
    await transport.send("lost")
    transport.abort()
    assert transport.peer.aborted
    with pytest.raises(TransportClosed) as closed:
        await transport.peer.receive()
    assert closed.value.code == 1006
    with pytest.raises(TransportClosed):
        await transport.peer.send("lost")
