"""What every transport promises, whatever it is made of.

In a transport's own test file: ``class TestMine(TransportSuite)`` with ``make``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Protocol

import anyio
import pytest

from greenroom.adapter import Frame, Message, Transport, TransportClosed
from greenroom.testing import Refused, wait_idle

pytestmark = pytest.mark.anyio


class Peer(Protocol):
    """The far end, as the suite needs it."""

    async def wait_opened(self) -> None: ...
    async def send(self, frame: Frame) -> None: ...
    async def receive(self) -> Frame: ...
    def close(self, code: int = 1000, reason: str = "") -> None: ...
    def drop(self) -> None: ...


class TransportSuite(ABC):
    @abstractmethod
    def make(self) -> tuple[Transport, Peer]:
        """A fresh transport, whose peer has asked to connect, and that peer."""

    async def test_an_accepted_peer_learns_of_it(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        await peer.wait_opened()

    async def test_a_refused_peer_learns_why(self) -> None:
        transport, peer = self.make()
        await transport.refuse(503)
        with pytest.raises(Refused) as refused:
            await peer.wait_opened()
        assert refused.value.status == 503

    async def test_a_peer_that_closes_says_code_and_reason(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        peer.close(4000, "changed my mind")
        with pytest.raises(TransportClosed) as closed:
            await transport.receive()
        assert (closed.value.code, closed.value.reason) == (4000, "changed my mind")

    async def test_frames_arrive_as_they_were_sent_and_in_order(self) -> None:
        frames: list[Frame] = ["one", b"\x00\xff", "", "zwölf €", b""]
        transport, peer = self.make()
        await transport.accept()
        for frame in frames:
            await peer.send(frame)
        assert [await transport.receive() for _ in frames] == frames
        for frame in frames:
            await transport.send(frame)
        assert [await peer.receive() for _ in frames] == frames

    async def test_what_a_peer_sent_before_it_left_is_read_first(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        await peer.send("last words")
        peer.close()
        assert await transport.receive() == "last words"
        with pytest.raises(TransportClosed):
            await transport.receive()

    async def test_receive_waits_for_a_frame(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        received: list[Frame] = []

        async def receive() -> None:
            received.append(await transport.receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await wait_idle()
            assert received == []
            await peer.send("here")
        assert received == ["here"]

    async def test_a_cancelled_receive_loses_no_frame(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.receive)
            await wait_idle()
            tasks.cancel_scope.cancel()
        await peer.send("still here")
        assert await transport.receive() == "still here"

    async def test_a_server_that_reads_nothing_stops_its_peer(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await peer.send("more")
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await wait_idle()
            before = sent
            await transport.receive()
            await wait_idle()
            assert sent == before + 1
            tasks.cancel_scope.cancel()

    async def test_a_peer_that_reads_nothing_holds_send_up(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await transport.send(str(sent))
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await wait_idle()
            before = sent
            assert not transport.try_send(Message("no room"))
            assert await peer.receive() == "0"
            await wait_idle()
            assert sent == before + 1
            tasks.cancel_scope.cancel()

    async def test_a_send_that_waits_ends_when_the_peer_drops(self) -> None:
        transport, peer = self.make()
        await transport.accept()

        gone = anyio.Event()

        async def send() -> None:
            # After the drop it may go nowhere without a word.
            with suppress(TransportClosed):
                while not gone.is_set():
                    await transport.send("more")
            assert gone.is_set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await wait_idle()
            peer.drop()
            gone.set()

    async def test_a_dropped_peer_is_heard_of_by_receive(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        peer.drop()
        with pytest.raises(TransportClosed) as closed:
            await transport.receive()
        assert closed.value.code == 1006

    async def test_try_send_writes_the_whole_frame_or_nothing(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        taken = [n for n in range(100) if transport.try_send(Message(str(n)))]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.close, 1000, "")
            for n in taken:
                assert await peer.receive() == str(n)
            with pytest.raises(TransportClosed):
                await peer.receive()

    async def test_close_tells_the_peer_code_and_reason_once(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        await transport.send("before")
        await transport.close(4001, "enough")
        await transport.close(4002, "more than enough")
        assert await peer.receive() == "before"
        with pytest.raises(TransportClosed) as closed:
            await peer.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "enough")

    async def test_nothing_is_sent_after_close(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        await transport.close(1000, "")
        with pytest.raises(TransportClosed):
            await transport.send("after")
        assert not transport.try_send(Message("after"))
        with pytest.raises(TransportClosed):
            await peer.receive()

    async def test_receive_ends_after_close(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        await transport.close(1000, "")
        with pytest.raises(TransportClosed):
            await peer.receive()
        with pytest.raises(TransportClosed):
            await transport.receive()

    async def test_closing_after_the_peer_has_left_is_fine(self) -> None:
        transport, peer = self.make()
        await transport.accept()
        peer.drop()
        with pytest.raises(TransportClosed):
            await transport.receive()
        await transport.close(1000, "")

    async def test_nothing_is_sent_after_abort(self) -> None:
        transport, _ = self.make()
        await transport.accept()
        transport.abort()
        transport.abort()
        with pytest.raises(TransportClosed):
            await transport.send("after")
        assert not transport.try_send(Message("after"))
        await transport.close(1000, "")
