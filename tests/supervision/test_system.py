"""The root of a tree, as a block."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorNotAlive,
    ActorSystem,
    ChildExists,
    ChildNotFound,
    ChildSpec,
    Crashed,
    Intensity,
    Registry,
    Restart,
    Shutdown,
    StartError,
    Strategy,
    SupervisionFailed,
)

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
    idle,
    incarnation,
    lasting,
    now,
    running,
    worker,
)

pytestmark = pytest.mark.anyio


class Counter(Actor[int]):
    """Adds up."""

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def receive(self, message: int) -> int:
        self.total += message
        return self.total


async def test_an_actor_or_what_makes_one_is_spawned() -> None:
    async with ActorSystem() as system:
        refs = [
            await system.spawn(Counter(1)),
            await system.spawn(Counter, restart=Restart.PERMANENT),
            await system.spawn(lambda: Counter(3), restart=Restart.TRANSIENT),
            await system.spawn(partial(Counter, 4)),
            await system.spawn(Counter, name="five"),
        ]
        assert [ref.path for ref in refs] == [
            "/Counter-1",
            "/Counter-2",
            "/lambda-3",
            "/actor-4",
            "/five",
        ]
        assert [await ref.ask(1) for ref in refs] == [2, 1, 4, 5, 1]


async def test_an_actor_itself_cannot_be_restarted() -> None:
    async with ActorSystem() as system:
        for restart in (Restart.PERMANENT, Restart.TRANSIENT):
            with pytest.raises(ValueError, match="actor must be a factory to be"):
                await system.spawn(Counter(), restart=restart)


async def test_a_name_is_taken_once() -> None:
    async with ActorSystem() as system:
        ref = await system.spawn(Counter(), name="counter")
        with pytest.raises(ChildExists) as exists:
            await system.spawn(Counter(), name="counter")
        assert exists.value.ref is ref
        await system.stop_child("counter")
        assert not ref.alive
        with pytest.raises(ChildNotFound):
            await system.stop_child("counter")
        assert (await system.spawn(Counter(), name="counter")).alive


async def test_actors_stop_in_the_reverse_of_their_start() -> None:
    journal = Journal()
    async with ActorSystem() as system:
        for name in "abcde":
            await system.spawn(Worker(name, journal))
    assert journal.of("gone") == list("edcba")


async def test_the_children_of_the_root_are_listed() -> None:
    async with ActorSystem() as system:
        await system.spawn(Counter(), name="counter")
        assert [info.id for info in system.children()] == ["_registry", "counter"]
        ref = await system.spawn(Counter())
        await system.registry.register("key", ref)
        assert system.registry.whereis("key") is ref
        assert system.dead_letters.total == 0


async def test_a_system_is_entered_only_once() -> None:
    system = ActorSystem()
    with pytest.raises(RuntimeError, match="has not been entered"):
        _ = system.runtime
    system.stop()  # no block to end yet
    async with system:
        with pytest.raises(RuntimeError, match="only once"):
            await system.__aenter__()
    with pytest.raises(RuntimeError, match="only once"):
        await system.__aenter__()


async def test_nothing_is_spawned_before_the_block_or_after_it() -> None:
    system = ActorSystem()
    with pytest.raises(ActorNotAlive):
        await system.spawn(Counter())
    async with system:
        pass
    with pytest.raises(ActorNotAlive):
        await system.spawn(Counter())


@pytest.mark.parametrize("timeout", [-1, math.nan, None, "30"])
async def test_a_wrong_shutdown_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(ValueError, match="shutdown_timeout must be seconds"):
        ActorSystem(shutdown_timeout=timeout)


async def test_the_block_can_be_ended_from_anywhere_inside_it() -> None:
    journal = Journal()

    class Ender(Worker):
        async def receive(self, message: object) -> None:
            assert isinstance(message, ActorSystem)
            message.stop()

    async with ActorSystem() as system:
        await system.spawn(Worker("a", journal))
        ref = await system.spawn(Ender("b", journal))
        ref.tell(system)
        await anyio.sleep_forever()
    assert journal.of("gone") == ["b", "a"]


async def test_the_error_of_the_block_comes_out_as_it_is() -> None:
    journal = Journal()
    error = Boom()

    async def run() -> None:
        async with ActorSystem() as system:
            await system.spawn(Worker("a", journal))
            raise error

    with pytest.raises(Boom) as raised:
        await run()
    assert raised.value is error
    assert journal.of("gone") == ["a"]


# -- the root gives up ----------------------------------------------------------


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
    assert "/b failed more often than is allowed: Boom()" in str(failed.value)
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
    assert str(failed.value) == "/a failed more often than is allowed"


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
        await idle()
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


# -- what is no actor's failure -------------------------------------------------


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
    # Whoever did it does not come back.
    assert journal.of("start") == (["a", "c", "b"])
    assert journal.of("gone")[-2:] == ["c", "a"]


# -- an end within its time -----------------------------------------------------


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
        await idle()
        await supervisor.stop_child("a")
        for _ in range(2):
            count = ref.statistics()
            assert count.accepted == 2
            assert count.handled + count.dead_lettered + count.pending == 2
            stubborn.release.set()
            await stubborn.over.wait()
            await idle()


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
