"""How a system ends: its root gives up, it is interrupted, its time is up."""

from __future__ import annotations

import asyncio
import math

import anyio
import pytest

from greenroom import (
    ActorSystem,
    ChildSpec,
    Crashed,
    Intensity,
    Registry,
    Shutdown,
    StartError,
    Strategy,
    SupervisionFailed,
)
from greenroom.testing import wait_idle

from .kit import (
    Boom,
    Journal,
    Stubborn,
    Worker,
    crowd,
    elapse,
    fail,
    family,
    forever,
    incarnation,
    lasting,
    now,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_a_root_that_gives_up_ends_the_block() -> None:
    journal = Journal()
    error = Boom()

    async def run() -> None:
        async with ActorSystem(intensity=Intensity(0, 5.0)) as system:
            await system.spawn(Worker("a", journal))
            ref = await system.start_child(worker("b", journal))
            ref.tell(error)
            await anyio.sleep_forever()

    with pytest.raises(SupervisionFailed) as failed:
        await run()
    assert failed.value.path == "/b"
    assert failed.value.__cause__ is error
    assert "/b failed, and who supervises it gave up: Boom()" in str(failed.value)
    assert journal.of("gone") == ["b", "a"]


async def test_a_root_that_gives_up_over_a_kill_has_no_exception_to_show() -> None:
    async def run() -> None:
        async with ActorSystem(intensity=Intensity(0, 5.0)) as system:
            ref = await system.start_child(worker("a", Journal()))
            ref.kill()
            await anyio.sleep_forever()

    with pytest.raises(SupervisionFailed) as failed:
        await run()
    assert failed.value.__cause__ is None
    assert str(failed.value) == "/a failed, and who supervises it gave up"


async def test_the_failure_of_the_root_names_the_actor_it_began_with() -> None:
    inner = family([worker("a", Journal())], intensity=Intensity(0, 5.0))

    async def run() -> None:
        async with ActorSystem(intensity=Intensity(0, 5.0)) as system:
            await system.start_child(ChildSpec("inner", lambda: inner))
            ref = inner.child("a")
            assert ref is not None
            ref.tell(Boom())
            await anyio.sleep_forever()

    with pytest.raises(SupervisionFailed) as failed:
        await run()
    assert failed.value.path == "/inner/a"


async def test_the_root_restarts_as_its_strategy_says() -> None:
    journal = Journal()
    async with ActorSystem(strategy=Strategy.ONE_FOR_ALL) as system:
        a = await system.start_child(worker("a", journal))
        b = await system.start_child(worker("b", journal))
        a.tell(Boom())
        await wait_idle()
        assert [await incarnation(ref) for ref in (a, b)] == [2, 2]


async def test_a_block_that_raises_as_the_root_gives_up_shows_both() -> None:
    async def run() -> None:
        async with ActorSystem(intensity=Intensity(0, 5.0)) as system:
            ref = await system.start_child(worker("a", Journal()))
            ref.tell(Boom())
            try:
                await anyio.sleep_forever()
            finally:
                raise ValueError("while it was cancelled")

    with pytest.raises(SupervisionFailed) as failed:
        await run()
    assert isinstance(failed.value.__context__, ValueError)


async def test_a_block_that_ends_as_the_root_gives_up_has_failed() -> None:
    async def run() -> None:
        async with ActorSystem(intensity=Intensity(0, 5.0)) as system:
            ref = await system.start_child(worker("a", Journal(), on_stop=lasting(1)))
            ref.tell(Boom())
            await elapse(1.1)

    with pytest.raises(SupervisionFailed):
        await run()


async def test_a_root_that_cannot_start_fails_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Registry, "started", fail)

    async def run() -> None:
        async with ActorSystem():
            await anyio.sleep_forever()

    with pytest.raises(SupervisionFailed) as failed:
        await run()
    assert isinstance(failed.value.__cause__, StartError)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["receive", "start", "stop"])
async def test_an_interrupt_in_an_actor_ends_the_system_in_order(
    kind: type[BaseException], where: str
) -> None:
    journal = Journal()
    error = kind()

    async def interrupt(_: object) -> None:
        raise error

    async def run() -> None:
        async with ActorSystem() as system:
            await system.start_child(worker("a", journal))
            spec = worker(
                "b",
                journal,
                on_start=interrupt if where == "start" else None,
                on_stop=interrupt if where == "stop" else None,
            )
            await system.start_child(worker("c", journal))
            if where == "start":
                await system.start_child(spec)
            else:
                ref = await system.start_child(spec)
                ref.tell(error if where == "receive" else Boom())
            await anyio.sleep_forever()

    with pytest.raises(kind) as raised:
        await run()
    assert raised.value is error
    assert error.__notes__ == ["raised in /b"]
    # Whoever did it does not come back.
    assert journal.of("start") == (["a", "c", "b"])
    assert journal.of("gone")[-2:] == ["c", "a"]


async def test_everything_stops_within_the_shutdown_timeout() -> None:
    journal = Journal()
    began = 0.0
    async with ActorSystem(shutdown_timeout=3) as system:
        await system.start_child(worker("a", journal))
        await system.start_child(
            worker("hung", journal, on_stop=forever, shutdown=math.inf)
        )
        inner = crowd()
        await system.spawn(inner)
        await inner.start_child(
            worker("deep", journal, on_stop=forever, shutdown=math.inf)
        )
        began = now()
    assert now() - began == pytest.approx(3)
    assert journal.of("gone") == []


async def test_an_unkillable_actor_is_reported_and_the_others_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = Journal()
    stubborn = Stubborn()
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem() as system:
                await system.start_child(worker("a", journal))
                await system.start_child(
                    worker("stubborn", journal, on_stop=stubborn, shutdown=1)
                )
                await system.start_child(worker("b", journal))

        group.start_soon(run)
        await elapse(2)
        assert journal.of("gone") == ["b", "a"]
        assert "/stubborn cannot be killed" in caplog.text
        stubborn.release.set()


async def test_unkillable_actors_are_reported_when_time_is_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = Journal()
    stubborn = Stubborn()
    inner = family(
        [
            worker("a", journal, on_stop=forever, shutdown=math.inf),
            worker("stubborn", journal, on_stop=stubborn, shutdown=math.inf),
        ]
    )
    async with anyio.create_task_group() as group:

        async def run() -> None:
            async with ActorSystem(shutdown_timeout=1) as system:
                await system.start_child(ChildSpec("inner", lambda: inner))

        group.start_soon(run)
        await elapse(2)
        assert "/inner/stubborn cannot be killed" in caplog.text
        assert "/inner cannot" not in caplog.text
        stubborn.release.set()


async def test_no_message_of_an_unkillable_actor_is_counted_twice() -> None:
    stubborn = Stubborn()
    supervisor = family([worker("a", Journal(), shutdown=1)])
    async with running(supervisor):
        ref = supervisor.child("a")
        assert ref is not None
        ref.tell(stubborn)
        ref.tell("waits")
        await wait_idle()
        await supervisor.stop_child("a")
        for _ in range(2):
            count = ref.statistics()
            assert count.accepted == 2
            assert count.handled + count.dead_lettered + count.pending == 2
            stubborn.release.set()
            await stubborn.over.wait()
            await wait_idle()


async def test_an_actor_that_crashes_as_it_stops_does_not_fail_the_block() -> None:
    async with ActorSystem() as system:
        ref = await system.start_child(worker("a", Journal(), on_stop=fail))
        monitor = ref.monitor()
    assert monitor.down is not None
    assert isinstance(monitor.down.reason, Crashed)


async def test_actors_that_were_stopped_before_do_not_stop_again() -> None:
    journal = Journal()
    async with ActorSystem() as system:
        ref = await system.spawn(Worker("a", journal))
        assert await ref.stop() == Shutdown()
    assert journal.of("stop") == ["a"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_system_whose_tasks_were_all_cancelled_natively_has_ended() -> None:
    supervisor = family([worker("a", Journal())])

    async def run() -> None:
        async with ActorSystem() as system:
            await system.spawn(supervisor)
            for task in asyncio.all_tasks() - others:
                task.cancel()
            await anyio.sleep_forever()

    others = asyncio.all_tasks()
    task = asyncio.create_task(run())
    others.add(task)
    with pytest.raises(SupervisionFailed):
        await task
    assert statuses(supervisor) == {"a": "stopped"}
