"""Several WebSockets on one connection, of which one takes nothing any more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace

import anyio
import h2.events
import pytest
from anyio import wait_all_tasks_blocked
from h2.errors import ErrorCodes
from hypercorn.events import Closed
from wsproto.events import BytesMessage, CloseConnection, Ping

from greenroom.adapter._multiplexed import mend_stream, reset

from .multiplex import App, Link, Pushing, linked

pytestmark = pytest.mark.anyio


async def test_who_sends_waits_for_the_client_and_loses_nothing(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        app = await link.open()
        async with anyio.create_task_group() as group:
            sending = Pushing(group, stream, app, 100, 10_000)
            await wait_all_tasks_blocked()
            # The window that there is from the start, and what may wait.
            assert 6 <= sending_of(app) <= 11
            while not sending.done:
                await link.grant(5000, app)
                await wait_all_tasks_blocked()
            await link.grant(1 << 20, app)
            await wait_all_tasks_blocked()
        got = sum(len(event.data) for event in link.server.of(h2.events.DataReceived))
        assert got == 100 * 10_004


async def stream(app: App, count: int, size: int) -> None:
    """Send *count* messages; see `sending_of`."""
    for number in range(count):
        app.stream.sent = number
        await app.tell(size)


def sending_of(app: App) -> int:
    """The number of the message that is being sent."""
    number: int = app.stream.sent
    return number


async def test_a_client_that_resets_its_stream_leaves_nothing_behind(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        app = await link.open()
        async with anyio.create_task_group() as group:
            Pushing(group, app.tell, 200_000)
            await wait_all_tasks_blocked()
            link.client.reset_stream(app.stream.stream_id)
            await link.flush()
        await wait_all_tasks_blocked()
        assert link.protocol.stream_buffers == {}


async def test_it_is_too_late_to_mend_a_stream_that_has_gone(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        app = await link.open(mended=False)
        link.protocol.stream_buffers.clear()
        mend_stream(app.stream)
        assert link.protocol.stream_buffers == {}


async def test_a_client_that_says_goodbye_ends_its_stream_and_no_other(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        other = await link.open()
        # A client may have a hundred at a time.
        for number in range(1, 120):
            app = await link.open()
            assert app.stream.stream_id == 2 * number + 1
            await link.say(app, CloseConnection(1000))
            link.client.end_stream(app.stream.stream_id)
            await link.flush()
            await told(app)
            await wait_all_tasks_blocked()
            app.leave.set()
        assert len(link.server.of(h2.events.StreamEnded)) == 119
        assert resets(link) == []
        assert list(link.protocol.streams) == [1]
        assert list(link.protocol.stream_buffers) == [1]
        await link.say(other, BytesMessage(b"hello"))
        assert (await other.receive())["bytes"] == b"hello"


async def told(app: App) -> None:
    """The app hears that its client has gone, and nothing after that."""
    assert await app.receive() == {"type": "websocket.disconnect", "code": 1006}


def resets(link: Link) -> list[tuple[int, int]]:
    return [
        (event.stream_id, event.error_code)
        for event in link.server.of(h2.events.StreamReset)
    ]


@pytest.mark.parametrize("mended", [True, False])
async def test_a_stream_that_takes_nothing_is_reset_alone(
    anyio_backend_name: str, mended: bool
) -> None:
    async with linked(anyio_backend_name) as link:
        stalled, other = await link.open(mended=mended), await link.open()
        async with anyio.create_task_group() as group:
            Pushing(group, stalled.tell, 200_000)
            await wait_all_tasks_blocked()
            reset(stalled.stream, link.cut)
            # Whoever drops it twice.
            reset(stalled.stream, link.cut)
            # Who sends to it waits no more.
            await wait_all_tasks_blocked()
        await told(stalled)
        assert resets(link) == [(1, ErrorCodes.CANCEL)]
        assert list(link.protocol.streams) == [3]
        assert list(link.protocol.stream_buffers) == [3]
        with pytest.raises(KeyError):
            link.protocol.priority.block(1)

        await anyio.sleep(10)
        assert link.cut_at is None
        assert True not in link.server.idle
        await other.tell(10)
        await link.say(other, BytesMessage(b"hello"))
        assert (await other.receive())["bytes"] == b"hello"
        await wait_all_tasks_blocked()
        assert link.server.of(h2.events.DataReceived)[-1].stream_id == 3

        # And the same once more.
        third = await link.open()
        reset(third.stream, link.cut)
        await told(third)
        await wait_all_tasks_blocked()
        assert list(link.protocol.streams) == [3]


async def test_a_connection_that_nobody_else_is_on_goes_too(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        stalled = await link.open()
        reset(stalled.stream, link.cut)
        since = anyio.current_time()
        await told(stalled)
        await wait_all_tasks_blocked()
        # It is told; and hypercorn that there is nothing to keep it for.
        assert resets(link) == [(1, ErrorCodes.CANCEL)]
        assert link.server.idle[-1] is True
        await anyio.sleep(10)
        assert link.cut_at is not None
        assert abs(link.cut_at - since - 1) < 0.01
        # Nor is there for how long.
        assert link.server.idle[-1] is False


async def test_a_connection_that_somebody_comes_to_stays(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        stalled = await link.open()
        reset(stalled.stream, link.cut)
        await anyio.sleep(0.9)
        await link.open()
        await anyio.sleep(10)
        assert link.cut_at is None


async def test_a_connection_that_takes_nothing_goes_with_all_of_its_streams(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        apps = [await link.open() for _ in range(3)]
        link.server.stalled = True
        since = 0.0
        async with anyio.create_task_group() as group:
            for app in apps:
                Pushing(group, app.tell, 200_000)
            await wait_all_tasks_blocked()
            reset(apps[0].stream, link.cut)
            since = anyio.current_time()
            await told(apps[0])
            # Who waits to send is let go.
        assert link.cut_at is not None
        assert abs(link.cut_at - since - 1) < 0.01


async def test_a_connection_that_takes_little_stays(anyio_backend_name: str) -> None:
    async with linked(anyio_backend_name) as link:
        stalled, _ = await link.open(), await link.open()
        link.server.stalled = True
        async with anyio.create_task_group() as group:
            Pushing(group, stalled.tell, 200_000)
            await wait_all_tasks_blocked()
            reset(stalled.stream, link.cut)
        for _ in range(10):
            link.server.move()
            await anyio.sleep(0.9)
            assert link.cut_at is None
        link.server.stalled = False
        link.server.goes_on.set()
        await anyio.sleep(10)
        assert resets(link) == [(1, ErrorCodes.CANCEL)]
        assert link.cut_at is None


async def test_a_connection_that_ends_by_itself_is_left_alone(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        stalled, late = await link.open(), await link.open()
        idle = list(link.server.idle)
        reset(stalled.stream, link.cut)
        await link.protocol.handle(Closed())
        await told(stalled)
        await told(late)
        await anyio.sleep(10)
        assert link.cut_at is None
        assert link.server.idle == idle


async def test_what_hypercorn_is_about_to_end_is_left_to_it(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        busy, other = await link.open(), await link.open()
        # Its queue is full, and it is the first that is told of the end.
        await link.say(busy, *[BytesMessage(b"x")] * 10)
        async with anyio.create_task_group() as group:
            group.start_soon(link.protocol.handle, Closed())
            await wait_all_tasks_blocked()
            reset(other.stream, link.cut)
            assert list(link.protocol.streams) == [3]
            assert (await busy.receive())["bytes"] == b"x"
        await told(other)


async def test_a_stream_that_has_ended_for_us_is_reset_all_the_same(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        app, _ = await link.open(), await link.open()
        await app.send({"type": "websocket.close", "code": 1000})
        await wait_all_tasks_blocked()
        assert list(link.protocol.stream_buffers) == [3]
        reset(app.stream, link.cut)
        assert (await app.receive())["type"] == "websocket.disconnect"
        await wait_all_tasks_blocked()
        assert resets(link) == [(1, ErrorCodes.CANCEL)]


async def test_a_stream_that_has_ended_on_both_sides_is_forgotten(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        app, _ = await link.open(), await link.open()
        link.protocol.connection.close_connection()
        reset(app.stream, link.cut)
        await told(app)
        await wait_all_tasks_blocked()
        assert list(link.protocol.streams) == [3]
        assert resets(link) == []


async def test_what_was_on_its_way_from_a_client_is_nobodys(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        stalled, other = await link.open(), await link.open()
        async with anyio.create_task_group() as group:
            # More than hypercorn's queue holds, so that its reader waits.
            words = [BytesMessage(bytes([number])) for number in range(20)]
            group.start_soon(link.say, stalled, *words)
            await wait_all_tasks_blocked()
            reset(stalled.stream, link.cut)
            for number in range(11):
                assert (await stalled.receive())["bytes"] == bytes([number])
            await told(stalled)
        await link.say(other, BytesMessage(b"hello"))
        assert (await other.receive())["bytes"] == b"hello"


async def test_the_reader_of_all_streams_does_not_wait_for_one(
    anyio_backend_name: str,
) -> None:
    async with linked(anyio_backend_name) as link:
        stalled, other = await link.open(), await link.open()
        async with anyio.create_task_group() as group:
            Pushing(group, stalled.tell, 200_000)
            await wait_all_tasks_blocked()
            with anyio.fail_after(1):
                await link.say(stalled, *[Ping(b"are you there?")] * 1000)
                await link.say(other, BytesMessage(b"hello"))
            assert (await other.receive())["bytes"] == b"hello"
            reset(stalled.stream, link.cut)


# -- where it is not as expected -------------------------------------------


def cut_nothing(server: object) -> None:
    pytest.fail("it was to be left alone")


def reset_nothing(stream: object) -> None:
    reset(stream, cut_nothing)


def test_what_is_no_stream_of_several_is_not_touched() -> None:
    for stream in (None, SimpleNamespace(), SimpleNamespace(send=print)):
        mend_stream(stream)
        reset_nothing(stream)


@pytest.mark.parametrize("do", [mend_stream, reset_nothing])
async def test_a_hypercorn_that_is_not_as_expected_is_left_alone(
    do: Callable[[object], None],
    anyio_backend_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with linked(anyio_backend_name) as link:
        app = await link.open(mended=False)
        before = dict(link.protocol.stream_buffers)
        connection = link.protocol.connection
        del link.protocol.connection
        do(app.stream)
        link.protocol.connection = connection
        assert link.protocol.stream_buffers == before
        assert list(link.protocol.streams) == [1]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "no attribute 'connection'" in record.getMessage()


@pytest.mark.parametrize("begins", [True, False])
async def test_a_connection_whose_tasks_are_ending_is_left_to_that(
    begins: bool, anyio_backend_name: str
) -> None:
    class Ending:
        """As both loops refuse: asyncio once it has the coroutine."""

        def spawn(self, begin: Callable[[], object]) -> None:
            if begins:
                begin()
            raise RuntimeError("shutting down")

    async with linked(anyio_backend_name) as link:
        app = await link.open()
        link.protocol.task_group, tasks = Ending(), link.protocol.task_group
        reset(app.stream, link.cut)
        link.protocol.task_group = tasks
        await anyio.sleep(10)
        assert link.cut_at is None
