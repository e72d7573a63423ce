"""Who is told of the end of an actor, and who ends with it."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Crashed,
    Down,
    ExitReason,
    Intensity,
    Killed,
    Monitor,
    Normal,
    Restart,
    Shutdown,
)
from greenroom.testing import wait_idle

from .kit import Boom, Journal, Plain, child, family, incarnation, running, worker

pytestmark = pytest.mark.anyio


class Watcher(Actor[Any]):
    """Watches whom it is told to, and writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[Down] = []
        self.watches: list[Monitor] = []

    def receive(self, message: Any) -> None:
        if isinstance(message, Down):
            self.heard.append(message)
        else:
            self.watches.append(message.monitor())

    @property
    def reasons(self) -> list[ExitReason]:
        return [down.reason for down in self.heard]


class Bound(Actor[ActorRef[Any]]):
    """Ends with whom it is told to."""

    def receive(self, message: ActorRef[Any]) -> None:
        self.context.bind_to(message)


@pytest.mark.parametrize("reason", [Normal(), Shutdown(), Shutdown("tired")])
async def test_who_watches_is_told_of_a_graceful_end(reason: ExitReason) -> None:
    """Behaviour 152: get notified of graceful actor termination."""
    watcher = Watcher()
    async with ActorSystem() as system:
        watching = await system.spawn(watcher)
        ref = await system.spawn(Plain())
        watching.tell(ref)
        await wait_idle()
        assert watcher.heard == []
        await ref.stop(reason)
        await wait_idle()
        assert watcher.heard == [Down(ref, reason)]


async def test_who_watches_is_told_of_an_end_because_of_a_failure() -> None:
    """Behaviour 152: get notified of child termination because of failure."""
    watcher = Watcher()
    supervisor = family(
        [
            ChildSpec("watcher", lambda: watcher),
            worker("restarts", Journal()),
            worker("ends", Journal(), Restart.TEMPORARY),
        ]
    )
    async with running(supervisor):
        for name in ("restarts", "ends"):
            child(supervisor, "watcher").tell(child(supervisor, name))
        await wait_idle()
        error = Boom()
        # A restart is no end.
        child(supervisor, "restarts").tell(Boom())
        ref = child(supervisor, "ends")
        ref.tell(error)
        await wait_idle()
        assert watcher.heard == [Down(ref, Crashed(error))]
        assert await incarnation(child(supervisor, "restarts")) == 2


async def test_who_watches_a_supervisor_is_told_that_it_gave_up() -> None:
    """Behaviour 152: get notified of child termination because of failure."""
    watcher = Watcher()
    inner = family([worker("a", Journal())], intensity=Intensity(0, 5.0))
    supervisor = family(
        [
            ChildSpec("watcher", lambda: watcher),
            ChildSpec("inner", lambda: inner, Restart.TEMPORARY),
        ]
    )
    async with running(supervisor):
        child(supervisor, "watcher").tell(child(supervisor, "inner"))
        child(supervisor, "watcher").tell(child(inner, "a"))
        await wait_idle()
        child(inner, "a").tell(Boom())
        await wait_idle()
        # The child first, then its supervisor.
        assert [down.ref.name for down in watcher.heard] == ["a", "inner"]


async def test_who_is_bound_to_another_ends_with_its_reason() -> None:
    """Behaviour 153: fail the actor itself with DeathPact if ..."""
    async with ActorSystem() as system:
        ends: list[Normal | Killed | Crashed] = [Normal(), Killed(), Crashed(Boom())]
        for number, end in enumerate(ends):
            ref = await system.spawn(Plain(), name=f"ref-{number}")
            bound = await system.spawn(Bound(), name=f"bound-{number}")
            await bound.ask(ref)
            if isinstance(end, Crashed):
                ref.tell(end.error)
            elif isinstance(end, Killed):
                ref.kill()
            else:
                ref.stop_nowait(end)
            assert await bound.wait_stopped() == end


async def test_an_end_with_another_is_a_failure_if_that_was_one() -> None:
    """Behaviour 153: fail the actor itself with DeathPact if ..."""
    supervisor = family(
        [
            ChildSpec("bound", Bound, Restart.TRANSIENT),
            worker("other", Journal(), Restart.TEMPORARY),
        ]
    )
    async with running(supervisor):
        bound = child(supervisor, "bound")
        await bound.ask(child(supervisor, "other"))
        child(supervisor, "other").tell(Boom())
        await wait_idle()
        (info,) = supervisor.children()
        assert (info.id, info.incarnation) == ("bound", 2)
        # Its next life is bound to nobody.
        ref = await supervisor.start_child(
            worker("other", Journal(), Restart.TEMPORARY)
        )
        await ref.stop()
        await wait_idle()
        assert supervisor.children()[0].incarnation == 2


async def test_watching_twice_is_being_told_twice_and_not_harmful() -> None:
    """Behaviour 154: allow idempotent invocations of watch."""
    watcher = Watcher()
    async with ActorSystem() as system:
        watching = await system.spawn(watcher)
        ref = await system.spawn(Plain())
        for _ in range(3):
            await watching.ask(ref)
        # Each watch has its one Down, and can be taken back by itself.
        watcher.watches[1].cancel()
        watcher.watches[1].cancel()
        await ref.stop()
        await wait_idle()
        assert watcher.heard == [Down(ref, Shutdown())] * 2
        assert watching.alive


async def test_who_watches_after_the_end_is_told_at_once() -> None:
    """Behaviour 154: watch a child after its termination."""
    watcher = Watcher()
    async with ActorSystem() as system:
        watching = await system.spawn(watcher)
        ref = await system.spawn(Plain())
        error = Boom()
        ref.tell(error)
        await ref.wait_stopped()
        watching.tell(ref)
        await wait_idle()
        assert watcher.heard == [Down(ref, Crashed(error))]
        # Outside of every actor too.
        assert (await ref.monitor().wait()).reason == Crashed(error)
