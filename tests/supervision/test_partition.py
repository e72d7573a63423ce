"""PartitionSupervisor: keys divided among children of one kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from greenroom import (
    ActorNotAlive,
    ActorSystem,
    AskCycle,
    ChildDeclined,
    ChildSpec,
    GaveUp,
    Intensity,
    NoPartition,
    Normal,
    PartitionSupervisor,
    Restart,
    Shutdown,
    StartError,
)
from greenroom.testing import wait_idle

from .kit import (
    MANY,
    Boom,
    Journal,
    Plain,
    Worker,
    decline,
    elapse,
    fail,
    family,
    in_turn,
    incarnation,
    lasting,
    now,
    patient,
    running,
    statuses,
    worker,
)

pytestmark = pytest.mark.anyio


def plain(
    number: int, restart: Restart = Restart.PERMANENT, **options: Any
) -> ChildSpec[object]:
    return ChildSpec(str(number), Plain, restart, **options)


def shards(
    journal: Journal, partitions: int = 4, **options: Any
) -> PartitionSupervisor[object]:
    """Partitions named by their numbers, without backoff."""
    return PartitionSupervisor(
        lambda number: worker(str(number), journal, **options),
        partitions,
        intensity=MANY,
        backoff=None,
    )


def keys_of(supervisor: PartitionSupervisor[Any], number: int) -> list[int]:
    """Some keys of a partition."""
    return [key for key in range(100) if supervisor.number(key) == number]


async def test_the_same_key_has_the_same_partition() -> None:
    """Behaviour 137: on success."""
    supervisor = shards(Journal())
    async with running(supervisor):
        refs = [supervisor.ref(key) for key in range(100)]
        assert refs == [supervisor.ref(key) for key in range(100)]
        assert {ref.name for ref in refs} == {"0", "1", "2", "3"}
        for key, ref in enumerate(refs):
            assert ref.name == str(supervisor.number(key))
        assert supervisor.partitions == 4
        assert supervisor.count_children().active == 4


async def test_each_partition_is_made_with_its_number() -> None:
    """Behaviour 137: on success."""
    journal = Journal()
    supervisor = PartitionSupervisor(
        lambda n: ChildSpec(f"part-{n}", partial(Worker, str(n * 10), journal)), 3
    )
    async with ActorSystem() as system:
        await system.spawn(supervisor, name="parts")
        assert journal == ["start 0", "start 10", "start 20"]
        assert supervisor.ref("a").path.startswith("/parts/part-")


@pytest.mark.parametrize("partitions", [0, -1, 1.5, True, None, "4"])
def test_a_wrong_number_of_partitions_is_refused(partitions: Any) -> None:
    """Behaviour 138: raises on bad partitions."""
    with pytest.raises(ValueError, match=r"^partitions must be "):
        PartitionSupervisor(plain, partitions)


def test_whatever_else_is_wrong_is_refused_by_name() -> None:
    """Behaviour 138: raises on bad with_arguments."""
    make: Any = PartitionSupervisor
    with pytest.raises(ValueError, match=r"^spec must be a callable"):
        make(plain(0), 2)
    with pytest.raises(ValueError, match=r"^a child must be ChildSpec"):
        make(str, 2)
    same: Callable[[int], object] = lambda _: plain(0)  # noqa: E731 - typed
    with pytest.raises(ValueError, match=r"^children must be of unique ids, got '0'"):
        make(same, 2)
    with pytest.raises(ValueError, match=r"^restart must be PERMANENT or TRANSIENT"):
        make(partial(plain, restart=Restart.TEMPORARY), 2)
    with pytest.raises(ValueError, match=r"^intensity must be Intensity"):
        make(plain, 2, intensity=3)


def test_the_end_of_one_partition_is_not_the_end_of_all() -> None:
    """Behaviour 138: raises on auto_shutdown."""
    make: Any = PartitionSupervisor
    with pytest.raises(TypeError, match="'auto_shutdown'"):
        make(plain, 2, auto_shutdown=None)
    with pytest.raises(ValueError, match="must not be significant"):
        make(partial(plain, restart=Restart.TRANSIENT, significant=True), 2)


async def test_a_partition_keeps_its_keys_while_it_restarts() -> None:
    journal = Journal()
    supervisor = PartitionSupervisor(
        lambda n: worker(str(n), journal, on_start=in_turn(None, fail)),
        2,
        intensity=MANY,
        **patient(),
    )
    async with running(supervisor):
        before = [supervisor.ref(key) for key in range(20)]
        key = keys_of(supervisor, 1)[0]
        supervisor.ref(key).tell(Boom())
        await wait_idle()
        assert statuses(supervisor) == {"0": "running", "1": "restarting"}
        assert [supervisor.ref(each) for each in range(20)] == before
        assert await supervisor.ref(key).ask("which?", timeout=20) == 3
        assert await incarnation(supervisor.ref(keys_of(supervisor, 0)[0])) == 1


async def test_there_are_fewer_partitions_and_as_many_as_before() -> None:
    """Behaviour 139: resizes the number of children."""
    journal = Journal()
    supervisor = shards(journal)
    async with running(supervisor):
        before = [supervisor.ref(key) for key in range(100)]
        journal.clear()
        await supervisor.resize(2)
        assert supervisor.partitions == 2
        assert {supervisor.ref(key).name for key in range(100)} == {"0", "1"}
        assert [ref.alive for ref in dict.fromkeys(before)].count(False) == 2
        assert supervisor.count_children().specs == 4
        assert supervisor.count_children().active == 2
        assert sorted(journal.take()) == ["gone 2", "gone 3", "stop 2", "stop 3"]
        await supervisor.resize(3)
        assert journal.take() == ["start 2"]
        assert {supervisor.ref(key).name for key in range(100)} == {"0", "1", "2"}
        await supervisor.resize(4)
        names = [supervisor.ref(key).name for key in range(100)]
        assert names == [ref.name for ref in before]


async def test_a_key_has_no_partition_when_there_are_none() -> None:
    """Behaviour 139: raises on lookup after resizing to zero."""
    supervisor = shards(Journal())
    async with running(supervisor):
        await supervisor.resize(0)
        with pytest.raises(NoPartition, match=r"^/top has no partitions$") as refused:
            supervisor.ref("a")
        assert (refused.value.path, refused.value.number) == ("/top", None)
        with pytest.raises(NoPartition):
            supervisor.number("a")
        await supervisor.resize(1)
        assert supervisor.ref("a").name == "0"


@pytest.mark.parametrize("partitions", [5, -1, 1.0, None, False])
async def test_there_are_never_more_partitions_than_at_first(partitions: Any) -> None:
    """Behaviour 139: raises if trying to increase."""
    supervisor = shards(Journal())
    async with running(supervisor):
        with pytest.raises(ValueError, match=r"^partitions must be "):
            await supervisor.resize(partitions)
        assert supervisor.partitions == 4


async def test_a_key_without_a_stable_hash_is_refused() -> None:
    supervisor = shards(Journal())
    async with running(supervisor):
        with pytest.raises(TypeError, match="key must be a str"):
            supervisor.ref(frozenset({1}))


async def test_a_partition_that_has_ended_for_good_is_named() -> None:
    supervisor = shards(Journal(), restart=Restart.TRANSIENT)
    async with running(supervisor):
        key = keys_of(supervisor, 2)[0]
        supervisor.ref(key).tell(Normal())
        await wait_idle()
        with pytest.raises(
            NoPartition, match=r"^/top has no partition 2 any more$"
        ) as refused:
            supervisor.ref(key)
        assert refused.value.number == 2
        # To have it again, make it anew.
        await supervisor.resize(2)
        await supervisor.resize(4)
        assert await incarnation(supervisor.ref(key)) == 1


async def test_nothing_is_looked_up_or_resized_unless_it_runs() -> None:
    supervisor = shards(Journal())
    with pytest.raises(ActorNotAlive, match=r"^supervisor is not alive"):
        supervisor.ref("a")
    async with running(supervisor):
        pass
    for order in (supervisor.ref, supervisor.number):
        with pytest.raises(ActorNotAlive, match=r"^/top is not alive"):
            order("a")
    with pytest.raises(ActorNotAlive):
        await supervisor.resize(2)


async def test_a_restart_of_the_supervisor_brings_all_partitions_back() -> None:
    supervisor = shards(Journal())
    async with running(family([ChildSpec("shards", lambda: supervisor)])):
        await supervisor.resize(1)
        supervisor.context.ref.kill()
        await wait_idle()
        assert supervisor.partitions == 4
        assert set(statuses(supervisor).values()) == {"running"}


async def test_partitions_are_not_started_that_are_not_wanted_any_more() -> None:
    journal = Journal()
    supervisor = shards(journal, on_start=in_turn(lasting(2)))
    async with ActorSystem() as system, anyio.create_task_group() as group:
        group.start_soon(system.spawn, supervisor)
        await elapse(1)
        await supervisor.resize(2)
        await elapse(2)
        assert journal.of("start") == ["0", "1"]
        assert supervisor.partitions == 2


async def test_a_partition_gets_its_keys_when_it_has_started() -> None:
    slow = in_turn(None, None, lasting(5))
    supervisor = shards(Journal(), 2, on_start=slow)
    async with running(supervisor), anyio.create_task_group() as group:
        await supervisor.resize(1)
        group.start_soon(supervisor.resize, 2)
        await elapse(4)
        assert supervisor.partitions == 1
        assert statuses(supervisor) == {"0": "running", "1": "starting"}
        await elapse(2)
        assert supervisor.partitions == 2


@pytest.mark.parametrize(
    ("step", "error"), [(fail, StartError), (decline, ChildDeclined)]
)
async def test_a_partition_that_does_not_start_leaves_those_before_it(
    step: Any, error: type[Exception]
) -> None:
    journal = Journal()
    supervisor = PartitionSupervisor(
        lambda n: worker(
            str(n), journal, on_start=in_turn(None, step) if n == 2 else None
        ),
        4,
    )
    async with running(supervisor):
        await supervisor.resize(1)
        with pytest.raises(error):
            await supervisor.resize(4)
        assert supervisor.partitions == 2
        assert [info.status.value for info in supervisor.children()] == [
            *("running", "running", "stopped", "stopped")
        ]
        await supervisor.resize(4)
        assert set(statuses(supervisor).values()) == {"running"}


async def test_one_resize_comes_after_the_other() -> None:
    supervisor = shards(Journal(), on_stop=lasting(1))
    async with running(supervisor):
        async with anyio.create_task_group() as group:
            for partitions in (1, 3, 0, 2, 4, 3):
                group.start_soon(supervisor.resize, partitions)
        # In which order they come is up to the event loop.
        expected = supervisor.partitions
        assert list(statuses(supervisor).values()) == [
            *["running"] * expected,
            *["stopped"] * (4 - expected),
        ]


@pytest.mark.parametrize("to", range(5))
@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5])
async def test_a_resize_that_was_cancelled_is_put_right_by_the_next(
    seconds: float, to: int
) -> None:
    supervisor = shards(Journal(), on_start=lasting(1), on_stop=lasting(1))
    async with running(supervisor):
        with anyio.move_on_after(0.5):
            await supervisor.resize(0)
        assert supervisor.partitions == 0
        with anyio.move_on_after(seconds):
            await supervisor.resize(4)
        await supervisor.resize(to)
        assert supervisor.partitions == to
        assert list(statuses(supervisor).values()) == [
            *["running"] * to,
            *["stopped"] * (4 - to),
        ]


async def test_a_partition_that_ends_itself_does_not_wait_for_it() -> None:
    supervisor = shards(Journal(), 2)
    answers: list[object] = []

    async def shrink(_: object) -> None:
        try:
            await supervisor.resize(1)
        except AskCycle as error:
            answers.append(error.cycle)

    async with running(supervisor):
        began = now()
        ref = supervisor.ref(keys_of(supervisor, 1)[0])
        ref.tell(shrink)
        assert await ref.wait_stopped() == Shutdown()
        assert answers == [(ref.path, ref.path)]
        assert now() == began


async def test_partitions_stop_all_at_once() -> None:
    supervisor = shards(Journal(), on_stop=lasting(2))
    async with running(supervisor) as top:
        began = now()
        await top.stop()
        assert now() - began == pytest.approx(2)


async def test_too_many_failures_of_all_partitions_together_are_too_many() -> None:
    supervisor = PartitionSupervisor(
        plain, 4, intensity=Intensity(3, 5.0), backoff=None
    )
    async with running(supervisor) as top:
        monitor = top.monitor()
        for number in range(4):
            supervisor.ref(keys_of(supervisor, number)[0]).tell(Boom())
        assert isinstance((await monitor.wait()).reason, GaveUp)
