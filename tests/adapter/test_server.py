from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorAdapter,
    Client,
    NotRunning,
    Restart,
    SupervisionFailed,
)
from greenroom.adapter._outgoing import Outgoing
from greenroom.testing import (
    MemoryTransport,
    Refused,
    connect,
    wait_idle,
)

from .asgi import Asgi
from .support import Chat, until

pytestmark = pytest.mark.anyio


def running_tasks() -> int:
    return len(anyio.get_running_tasks())


# -- running ------------------------------------------------------------------


async def test_nothing_works_before_and_after_it_runs() -> None:
    chat = Chat()
    adapter = chat.adapter

    async def nothing_works() -> None:
        for attempt in (
            adapter.emit("e"),
            adapter.emit("e", to="~sid"),
            adapter.emit("e", room="r"),
            adapter.broadcast("e"),
            adapter.call("e", to="~sid"),
        ):
            with pytest.raises(NotRunning):
                await attempt
        with pytest.raises(NotRunning):
            _ = adapter.system
        with pytest.raises(Refused, match="503"):
            async with connect(adapter):
                raise AssertionError("not reached")
        await adapter.close()

    await nothing_works()
    async with chat.running():
        await adapter.broadcast("nobody hears it")
    await nothing_works()


async def test_it_runs_once_at_a_time_and_again_afterwards() -> None:
    chat = Chat()
    for run in range(3):
        async with chat.running(), chat.client("lobby") as (client, _):
            assert await client.call("echo", run) == run
            with pytest.raises(RuntimeError, match="running already"):
                async with chat.adapter.running():
                    raise AssertionError("not reached")
            assert not chat.adapter.statistics().draining
        assert chat.adapter.statistics().draining
    assert chat.adapter.statistics().connections_total == 3


async def test_other_actors_may_live_beside_the_connections() -> None:
    class Counter(Actor[int]):
        total = 0

        def receive(self, message: int) -> int:
            self.total += message
            return self.total

    chat = Chat()
    async with chat.running(), chat.client() as (client, _):
        counter = await chat.adapter.system.spawn(Counter)

        @chat.adapter.on("add")
        async def add(event: str, client: Client, data: Any) -> object:
            return await counter.ask(data)

        assert await client.call("add", 1) == 1
        assert await client.call("add", 2) == 3


async def test_an_error_in_the_block_comes_out_as_it_was() -> None:
    chat = Chat()
    with pytest.raises(ZeroDivisionError):
        async with chat.running(), chat.client():
            raise ZeroDivisionError
    assert [code for _, code, _ in chat.gone] == [1000]


async def test_when_the_system_fails_clients_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Crasher(Actor[str]):
        async def started(self) -> None:
            if self.context.incarnation > 1:
                raise RuntimeError("again")

        def receive(self, message: str) -> None:
            raise RuntimeError(message)

    chat = Chat()
    codes: list[int] = []
    async with anyio.create_task_group() as tasks:

        async def stay() -> None:
            async with connect(chat.adapter) as client:
                codes.append(await client.wait_closed())

        async def run() -> None:
            async with chat.running():
                tasks.start_soon(stay)
                await until(lambda: chat.clients)
                ref = await chat.adapter.system.spawn(
                    Crasher, restart=Restart.PERMANENT
                )
                ref.tell("crash")
                await anyio.sleep_forever()

        with pytest.raises(SupervisionFailed):
            await run()
    assert codes == [1001]
    assert len(chat.gone) == 1


# -- clients of every kind ----------------------------------------------------


async def test_a_send_that_goes_nowhere_and_never_yields_starves_nobody() -> None:
    """As hypercorn's, once the client is gone and before that is heard of."""
    async with (
        Chat(outbox_messages=10_000).running() as chat,
        chat.peer() as peer,
        chat.client() as (client, _),
    ):
        gone = next(iter(chat.clients))
        # The disconnect comes late: the reader has its hands full.
        for _ in range(80):
            await peer.send('{"event": "wait"}')
        server = chat.adapter._server  # pyright: ignore[reportPrivateUsage]  # who emits yields
        for _ in range(5000):
            server.connections[gone].writer.outbox.put(Outgoing("tick"))
        peer.drop(silent=True)
        passes = 0
        while chat.adapter.statistics().outbound.pending > 100:
            passes += 1
            await anyio.lowlevel.checkpoint()
        assert passes > 10
        chat.release()
        assert await client.call("echo", 1) == 1


async def test_a_thousand_clients_leave_nothing_behind() -> None:
    chat = Chat()
    leave = anyio.Event()

    async def come_and_go(n: int) -> None:
        async with chat.peer() as peer:
            await peer.send('{"event": "join", "data": "lobby"}')
            await peer.send(f'{{"event": "join", "data": "room {n % 10}"}}')
            await peer.send('{"event": "echo"}')
            await leave.wait()
            if n % 2:
                peer.drop(silent=bool(n % 4))

    async with chat.running():
        await wait_idle()
        tasks_before = running_tasks()
        async with anyio.create_task_group() as tasks:
            for n in range(1000):
                tasks.start_soon(come_and_go, n)
            await until(lambda: len(chat.handled) == 1000)
            statistics = chat.adapter.statistics()
            assert (statistics.connections, statistics.rooms) == (1000, 11)
            await chat.adapter.emit("said", "hi", room="lobby")
            leave.set()
        await wait_idle()
        assert running_tasks() == tasks_before
        assert len(chat.gone) == len({sid for sid, _, _ in chat.gone}) == 1000
        statistics = chat.adapter.statistics()
        assert (statistics.connections, statistics.rooms) == (0, 0)
        assert chat.connections() == []


async def test_sids_are_unguessable_and_never_used_twice() -> None:
    async with Chat().running() as chat:
        sids: set[str] = set()
        for _ in range(20):
            async with chat.client() as (_, sid):
                sids.add(sid)
        assert len(sids) == 20
        assert {len(sid) for sid in sids} == {25}
        assert {sid[0] for sid in sids} == {"~"}


async def test_any_transport_can_be_served() -> None:
    adapter = ActorAdapter()
    seen: list[object] = []

    @adapter.on_connect()
    def hello(event: str, client: Client, data: Any) -> None:
        seen.append(client.scope)

    async with adapter.running(), anyio.create_task_group() as tasks:
        transport = MemoryTransport()
        tasks.start_soon(adapter.serve, transport, {"type": "carrier pigeon"})
        await transport.peer.wait_opened()
        await until(lambda: seen)
        transport.peer.close()
    assert seen == [{"type": "carrier pigeon"}]


async def test_a_transport_whose_receive_fails_takes_its_client_along() -> None:
    class Broken(Exception):
        pass

    async with Chat().running() as chat:
        asgi = Asgi()

        async def receive() -> dict[str, Any]:
            if chat.clients:
                raise Broken
            return await asgi.app_receive()

        with pytest.raises(Broken):
            await chat.adapter(asgi.scope, receive, asgi.app_send)
        # Its server is told, and its client as well.
        assert asgi.sent[-1]["code"] == 1001
        assert len(chat.gone) == 1
