"""What must hold in a simulated world is looked at after every step."""

from __future__ import annotations

import itertools
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

from greenroom import Actor, ActorSystem, MailboxOptions, Restart
from greenroom.actors import Mailbox
from greenroom.testing import (
    InvariantBroken,
    NotSimulated,
    World,
    WorldStuck,
    explore,
    simulate,
)


class Echo(Actor[Any]):
    """Answers with what it was asked, at once or later."""

    async def receive(self, message: Any) -> Any:
        if message == "sleep":
            await anyio.sleep(1)
        elif message == "hang":
            await anyio.sleep_forever()
        elif message == "shield":
            with anyio.CancelScope(shield=True):
                await anyio.sleep_forever()
        elif message == "raise":
            raise ValueError(message)
        return message


# -- conservation ------------------------------------------------------------


async def busy(world: World) -> None:
    """A mailbox to which much happens."""
    async with ActorSystem() as system:
        ref = await system.spawn(
            Echo,
            name="echo",
            restart=Restart.PERMANENT,
            mailbox=MailboxOptions(capacity=5),
        )
        for message in (1, "sleep", 2, "raise", 3):
            ref.try_tell(message)
        await ref.ask(4, timeout=None)


@pytest.mark.parametrize("counter", ["accepted", "handled", "dead_lettered"])
def test_a_miscounted_message_is_seen_at_once(counter: str) -> None:
    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Echo(), name="echo")
            await ref.ask(1)
            step = world.steps
            mailbox: Mailbox[Any] = ref._body.mailbox  # pyright: ignore[reportPrivateUsage]
            setattr(mailbox, counter, getattr(mailbox, counter) + 1)
            try:
                await checkpoint()
            finally:
                steps.append(world.steps - step)
            pytest.fail("it went on")

    steps: list[int] = []
    with pytest.raises(InvariantBroken) as broken:
        simulate(main, 1)

    assert "the mailbox of /echo accepted" in str(broken.value)
    assert broken.value.task == "main"
    # Cancelled as it was about to go on, one step later at most.
    assert steps[0] <= 2


def test_all_mailboxes_conserve_their_messages() -> None:
    explore(busy, range(100))


def test_a_mailbox_of_the_users_is_watched_too() -> None:
    async def main(world: World) -> None:
        async with ActorSystem() as system:
            owner: Any = None
            parker = system.runtime.parker
            mailbox: Mailbox[int] = Mailbox(MailboxOptions(capacity=5), owner, parker)
            world.watch("my own", mailbox)
            mailbox.put(1)
            await checkpoint()
            mailbox.queue.clear()
            await checkpoint()

    with pytest.raises(InvariantBroken, match="the mailbox of my own accepted 1 mess"):
        simulate(main)


def test_one_that_has_ended_is_looked_at_again_in_the_end() -> None:
    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Echo(), name="echo")
            await ref.stop()
            # By then it has been set aside.
            for _ in range(600):
                await checkpoint()
            ref._body.mailbox.handled += 1  # pyright: ignore[reportPrivateUsage]
            for _ in range(10):
                await checkpoint()
        went_on.append(True)

    went_on: list[bool] = []
    with pytest.raises(InvariantBroken, match="by the end: the mailbox of /echo"):
        simulate(main)
    assert went_on == [True]


# -- invariants of the user's ------------------------------------------------


@pytest.mark.parametrize("says", ["returns False", "raises"])
def test_an_invariant_ends_the_world_when_it_does_not_hold(says: str) -> None:
    count = 0

    def below_three() -> bool:
        if says == "raises":
            assert count < 3, "too many"
        return count < 3

    async def main(world: World) -> None:
        nonlocal count
        world.invariant(below_three)
        for count in range(10):  # noqa: B007 - looked at elsewhere
            await checkpoint()

    with pytest.raises(InvariantBroken, match="below_three") as broken:
        simulate(main)

    assert count == 3
    assert broken.value.what == "below_three"
    cause = broken.value.__cause__
    assert (str(cause) == "too many\nassert 3 < 3") is (says == "raises")
    assert broken.value.__notes__ == ["greenroom: replay with seed 0"]


def test_an_invariant_may_have_words_and_return_nothing() -> None:
    async def main(world: World) -> None:
        world.invariant(lambda: None, "nothing at all")
        world.invariant(lambda: world.now < 5, "it is early")
        await anyio.sleep(10)

    with pytest.raises(InvariantBroken, match="it is early"):
        simulate(main)


def test_an_invariant_is_held_at_the_end_too() -> None:
    ended = False

    async def main(world: World) -> None:
        nonlocal ended
        world.invariant(lambda: not ended, "it has not ended")
        ended = True

    with pytest.raises(InvariantBroken, match="it has not ended"):
        simulate(main)


def test_the_law_is_raised_rather_than_what_comes_of_it() -> None:
    async def main(world: World) -> None:
        world.invariant(lambda: world.now < 5, "it is early")
        try:
            await anyio.sleep(10)
            await checkpoint()
        finally:
            raise KeyError("what came of it")

    with pytest.raises(InvariantBroken, match="it is early"):
        simulate(main)


# -- worlds that do not end --------------------------------------------------


def test_a_world_in_which_nothing_can_happen_is_stuck() -> None:
    async def main(world: World) -> None:
        async with ActorSystem() as system:
            ref = await system.spawn(Echo(), name="echo")
            await ref.ask("hang", timeout=None)

    with pytest.raises(WorldStuck, match="nothing can run") as stuck:
        simulate(main)

    # The line of the handler; the others are in the library.
    (echo,) = [task for task in stuck.value.tasks if task.startswith("/echo")]
    assert f"{__file__}:" in echo
    assert any("/_registry" in task for task in stuck.value.tasks)


def test_a_world_that_goes_round_in_circles_is_stuck() -> None:
    async def main(_: World) -> None:
        for _turn in itertools.count():
            await checkpoint()

    with pytest.raises(WorldStuck, match="still running after 500 steps"):
        simulate(main, max_steps=500)


def test_what_is_stuck_behind_a_shield_is_got_out() -> None:
    async def main(world: World) -> None:
        async with ActorSystem(shutdown_timeout=10) as system:
            ref = await system.spawn(Echo(), name="echo")
            await ref.ask("shield", timeout=1)

    with pytest.raises(WorldStuck, match="nothing can run"):
        simulate(main)


def test_hundreds_of_tasks_are_not_all_named() -> None:
    async def main(_: World) -> None:
        async with trio.open_nursery() as nursery:
            for _each in range(100):
                nursery.start_soon(trio.sleep_forever)

    with pytest.raises(WorldStuck) as stuck:
        simulate(main)
    assert len(stuck.value.tasks) == 20


# -- what is not there -------------------------------------------------------


def test_there_are_no_sockets() -> None:
    async def main(_: World) -> None:
        listener = trio.socket.socket()
        with listener:
            await listener.bind(("127.0.0.1", 0))
            listener.listen()
            await listener.accept()

    with pytest.raises(NotSimulated, match="a simulated world has no wait_readable"):
        simulate(main)


def test_its_statistics_are_those_of_trio() -> None:
    async def main(_: World) -> int:
        return trio.lowlevel.current_statistics().tasks_living

    # The main task, and two of trio's own.
    assert simulate(main) == 3
