"""The law of the house, held against a random crowd.

Clients come, read or do not, stall, fail and leave in every way, while all kinds
of things are sent.  After every step: accepted = handled + dead-lettered +
pending, both ways.  At the end: every client that was let in was seen off, once,
in order, and nothing is left of it.
"""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from greenroom import AdapterError, Client, Overflow
from greenroom.testing import MemoryPeer, Refused, TransportClosed, connect_raw

from .support import Chat

pytestmark = pytest.mark.anyio

ROOMS = ["a", "b", "c"]
POLICIES = [Overflow.STOP, Overflow.DROP_OLD, Overflow.DROP_NEW]


class Crowd:
    """One random run."""

    def __init__(self, seed: int) -> None:
        self.random = rng = random.Random(seed)
        self.chat = Chat(
            inbox_messages=rng.choice([1, 4, 64]),
            outbox_messages=rng.choice([1, 4, 64]),
            outbox_bytes=rng.choice([300, 100_000]),
            overflow=rng.choice(POLICIES),
            send_seconds=2.0,
            disconnect_seconds=1.0,
            close_seconds=0.5,
            ack_seconds=3.0,
            max_acks=5,
        )
        self.admitted: list[str] = []
        self.peers: list[MemoryPeer] = []
        self.number = 0
        self.over = False
        chat = self.chat

        @chat.adapter.on_connect()
        async def greet(event: str, client: Client, data: Any) -> None:
            self.admitted.append(client.sid)
            match rng.randrange(8):
                case 0:
                    client.reject(4401)
                    self.admitted.remove(client.sid)
                case 1:
                    await client.disconnect(4000)
                case 2:
                    raise RuntimeError("greeting")
                case 3:
                    await anyio.sleep(rng.random())
                case _:
                    await client.join(rng.choice(ROOMS))

        @chat.adapter.on("do")
        async def do(event: str, client: Client, data: Any) -> object:
            await self.act(client)
            return data

        @chat.adapter.on_disconnect()
        async def leave(event: str, client: Client, data: Any) -> None:
            assert client.sid not in self.rooms()
            with suppress(AdapterError):
                await client.emit("too late")
            match rng.randrange(4):
                case 0:
                    await anyio.sleep(rng.random() * 2)
                case 1:
                    raise RuntimeError("leaving")
                case _:
                    await chat.adapter.emit("left", room=rng.choice(ROOMS))

    def rooms(self) -> set[str]:
        registry: Any = self.chat.adapter._server.registry  # pyright: ignore[reportPrivateUsage]  # nothing public tells
        groups = [("/", room) for room in ROOMS] + ["all"]
        return {ref.name for group in groups for ref in registry.members(group)}

    async def act(self, client: Client) -> None:
        """Something that a handler does."""
        rng = self.random
        adapter = self.chat.adapter
        self.number += 1
        with suppress(AdapterError, ValueError):
            match rng.randrange(12):
                case 0 | 1:
                    await client.join(rng.choice(ROOMS))
                case 2:
                    await client.leave(rng.choice(ROOMS))
                case 3 | 4:
                    await client.emit("n", [0, self.number])
                case 5:
                    await adapter.emit("n", room=rng.sample(ROOMS, 2))
                case 6:
                    await client.call("question", timeout=rng.random())
                case 7:
                    await client.emit("question", callback=self.answered)
                case 8:
                    await anyio.sleep(rng.random())
                case 9:
                    await client.disconnect(4001)
                case 10:
                    raise RuntimeError("acting")
                case _:
                    with anyio.CancelScope(shield=rng.random() < 0.3):
                        await anyio.sleep(rng.random() * 2)

    def answered(self, data: object) -> None:
        """The callback of an ack."""
        if self.random.random() < 0.3:
            raise RuntimeError("answered")

    # -- clients -----------------------------------------------------------

    async def come(self) -> None:
        """A client, until it is gone."""
        rng = self.random
        with suppress(Refused):
            async with connect_raw(
                self.chat.adapter, max_frames=rng.choice([1, 16])
            ) as peer:
                self.peers.append(peer)
                if self.over:
                    peer.drop()
                async with anyio.create_task_group() as inner:
                    if rng.random() < 0.7:
                        inner.start_soon(self.read, peer)
                    with suppress(TransportClosed):
                        while True:
                            await self.talk(peer)
                    inner.cancel_scope.cancel()
                self.peers.remove(peer)

    async def read(self, peer: MemoryPeer) -> None:
        """Read, answer what is asked, and see that the order holds."""
        latest = 0
        with suppress(TransportClosed):
            while True:
                frame = json.loads(await peer.receive())
                if "id" in frame and self.random.random() < 0.7:
                    await peer.send(f'{{"ack": {frame["id"]}}}')
                if frame.get("event") == "n" and frame["data"]:
                    sender, number = frame["data"]
                    if sender == 1:
                        assert number > latest
                        latest = number
                if self.random.random() < 0.1:
                    await anyio.sleep(self.random.random())

    async def talk(self, peer: MemoryPeer) -> None:
        """Something that a client does."""
        rng = self.random
        match rng.randrange(20):
            case 0:
                peer.close(4002)
            case 1:
                peer.drop(silent=rng.random() < 0.5)
            case 2:
                peer.fail_sends(OSError("reset"))
            case 3:
                peer.stall()
            case 4:
                peer.unstall()
            case 5:
                await peer.send("{")
            case 6:
                await anyio.sleep(rng.random() * 3)
            case _:
                await peer.send('{"event": "do", "id": 1, "data": "%s"}' % ("x" * 50))
        await anyio.lowlevel.checkpoint()

    # -- everybody ---------------------------------------------------------

    async def publish(self) -> None:
        """One sender, in all the ways there are."""
        rng = self.random
        adapter = self.chat.adapter
        self.number += 1
        data = [1, self.number]
        sids = rng.sample(self.admitted, min(2, len(self.admitted)))
        match rng.randrange(4):
            case 0:
                await adapter.broadcast("n", data)
            case 1:
                await adapter.emit("n", data, room=rng.sample(ROOMS, 2), skip_sid=sids)
            case 2:
                with anyio.move_on_after(1):
                    await adapter.emit("n", data, to=sids)
            case _:
                with anyio.move_on_after(1):
                    await adapter.emit(
                        "n", data, to=sids, room="a", callback=self.answered
                    )

    async def run(self, steps: int) -> None:
        """Let them all loose."""
        chat = self.chat
        async with chat.running():
            before = len(anyio.get_running_tasks())
            async with anyio.create_task_group() as crowd:
                for _ in range(steps):
                    if self.random.random() < 0.3:
                        crowd.start_soon(self.come)
                    await self.publish()
                    if self.random.random() < 0.2:
                        await anyio.sleep(self.random.random() * 0.2)
                    else:
                        await anyio.lowlevel.checkpoint()
                    chat.check()
                if self.random.random() < 0.5:
                    await chat.adapter.drain()
                    chat.check()
                self.over = True
                for peer in tuple(self.peers):
                    peer.drop()
            await anyio.sleep(5.0)
            chat.check()
            assert self.rooms() == set()
            assert chat.connections() == []
            assert len(anyio.get_running_tasks()) == before
        # Once for each that was let in, and for nobody else.
        assert sorted(sid for sid, _, _ in chat.gone) == sorted(self.admitted)
        statistics = chat.adapter.statistics()
        assert statistics.connections_total >= len(self.admitted)
        assert statistics.inbound.pending == statistics.outbound.pending == 0


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_is_lost_without_a_dead_letter(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")
    await Crowd(seed).run(80)
