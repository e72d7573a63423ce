"""How long a child waits, and what nobody waits for."""

from __future__ import annotations

import pytest

from greenroom import (
    ActorSystem,
    Backoff,
    ChildSpec,
    GaveUp,
    Intensity,
    Strategy,
)

from .kit import (
    Boom,
    Journal,
    Longest,
    child,
    elapse,
    fails_again,
    family,
    forever,
    now,
    patient,
    restarting,
    running,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_a_restart_waits_twice_as_long_each_time() -> None:
    """Behaviour 147: restart after exponential backoff."""
    journal = Journal()
    options = patient() | {"backoff": Backoff(1.0, 100.0)}
    spec = worker("a", journal, on_start=fails_again(4))
    supervisor = family([spec], **options)
    async with running(supervisor):
        began = now()
        ref = child(supervisor, "a")
        ref.tell(Boom())
        assert await ref.ask("which?", timeout=30) == 6
        assert now() - began == pytest.approx(0 + 1 + 2 + 4 + 8)


async def test_a_child_that_has_lasted_waits_no_longer_than_at_first() -> None:
    """Behaviour 147: reset exponential backoff count after reset timeout."""
    options = patient() | {"backoff": Backoff(1.0, 3.0)}
    supervisor = family([worker("a", Journal())], **options)
    async with running(supervisor):
        ref = child(supervisor, "a")
        waits: list[float] = []
        for lasted in (0, 0, 0, 2, 0):
            await elapse(lasted)
            ref.tell(Boom())
            began = now()
            await ref.ask("which?")
            waits.append(round(now() - began, 3))
        assert waits == [0, 1, 2, 0, 1]


async def test_a_child_that_fails_too_often_has_failed_with_backoff_as_without() -> (
    None
):
    """Behaviour 147: fail if reaching maximum number of restarts with backoff."""
    journal = Journal()
    supervisor = family(
        [worker("a", journal, on_start=fails_again(99))],
        intensity=Intensity(3, 10.0),
        backoff=Backoff(1.0, 1.0),
        rng=Longest(),
    )
    async with running(supervisor) as top:
        await restarting(child(supervisor, "a"))
        began = now()
        assert isinstance(await top.wait_stopped(), GaveUp)
        assert now() - began == pytest.approx(2)
        assert len(journal.of("start")) == 4


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_what_is_fatal_is_not_for_a_supervisor_to_catch(
    kind: type[BaseException],
) -> None:
    """Behaviour 150: not catch fatal error."""
    journal = Journal()
    error = kind()

    async def run() -> None:
        inner = family(
            [worker("a", journal), worker("b", journal)],
            strategy=Strategy.ONE_FOR_ALL,
        )
        async with ActorSystem() as system:
            await system.start_child(worker("first", journal))
            await system.start_child(ChildSpec("inner", lambda: inner))
            child(inner, "a").tell(error)
            await forever()

    with pytest.raises(kind) as raised:
        await run()
    assert raised.value is error
    assert journal.of("start") == ["first", "a", "b"]
    assert journal.of("gone") == ["a", "b", "first"]
