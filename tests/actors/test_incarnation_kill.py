"""A kill runs no hook; what cannot be killed can be given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from greenroom.actors import (
    ActorNotAlive,
    ExitReason,
    Killed,
    Shutdown,
    State,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, fail, hang, hang_deaf

pytestmark = pytest.mark.anyio


def never(_: ExitReason) -> bool:
    return False


# -- being killed ----------------------------------------------------------


async def test_a_kill_cancels_the_message_and_runs_no_hook(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    log: list[str] = []

    async def handle(_: Puppet) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("cleaned up")

    cell.ref.tell(handle)
    cell.ref.tell("never")
    await wait_idle()
    cell.ref.kill()
    assert not cell.ref.alive
    assert puppet.was_killed
    assert await cell.wait_stopped() == Killed()
    assert log == ["cleaned up"]
    assert puppet.reasons == []
    assert stage.lost == [
        ("never", Undelivered.STOPPED),
        (handle, Undelivered.CANCELLED),
    ]


async def test_who_asked_one_that_is_killed_is_told(stage: Stage) -> None:
    cell = await stage.spawn(Puppet, Nanny())
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            with pytest.raises(ActorNotAlive) as gone:
                await cell.ref.ask(hang)
            assert gone.value.reason == Killed()

        tasks.start_soon(ask)
        await wait_idle()
        cell.ref.kill()
    assert cell.incarnation == 2


async def test_killing_twice_is_killing_once(stage: Stage) -> None:
    calls: list[Puppet] = []
    puppet = Puppet(killed=calls.append)
    cell = await stage.spawn(puppet)
    cell.ref.kill()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    cell.ref.kill()
    assert calls == [puppet]


async def test_one_that_is_starting_can_be_killed(stage: Stage) -> None:
    puppet = Puppet(started=hang)
    cell = stage.cell(puppet)
    cell.start()
    await wait_idle()
    cell.kill()
    assert await cell.wait_started() == Killed()
    assert puppet.was_killed
    assert puppet.reasons == []


async def test_one_that_is_stopping_can_be_killed(stage: Stage) -> None:
    puppet = Puppet(stopped=hang)
    cell = await stage.spawn(puppet)
    cell.ref.stop_nowait()
    await wait_idle()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == [Shutdown()]


async def test_a_message_that_survives_the_kill_is_the_last(stage: Stage) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet, Nanny(wants=lambda _: True, later=True))
    cell.ref.tell(hang_deaf)
    cell.ref.tell("never by this one")
    await wait_idle()
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert puppet.seen == []
    assert cell.mailbox.handled == 1
    assert len(cell.mailbox.queue) == 1


async def test_a_start_that_survives_the_kill_is_no_start(stage: Stage) -> None:
    puppet = Puppet(started=hang_deaf)
    cell = stage.cell(puppet)
    cell.start()
    await wait_idle()
    cell.kill()
    assert await cell.wait_stopped() == Killed()
    assert puppet.reasons == []


async def test_an_error_of_killed_is_logged_and_it_dies_all_the_same(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    cell = await stage.spawn(Puppet(killed=fail))
    cell.ref.kill()
    assert await cell.wait_stopped() == Killed()
    assert f"killed() of {cell.path} raised" in caplog.text


# -- being given up --------------------------------------------------------


@pytest.mark.parametrize("asked", [False, True])
async def test_one_that_cannot_be_killed_can_be_given_up(
    stage: Stage, asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    nanny = Nanny()
    puppet = Puppet()
    cell = await stage.spawn(puppet, nanny)
    nanny.wants = never
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await cell.ref.ask(hang_deaf)
        except ActorNotAlive as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        if asked:
            tasks.start_soon(ask)
        else:
            cell.ref.tell(hang_deaf)
        await wait_idle()
        monitor = cell.ref.monitor()
        cell.kill()
        await wait_idle()
        assert not cell.ref.alive
        cell.abandon()
        assert cell.state is State.ENDED
        assert nanny.exits == [Killed()]
        assert (await monitor.wait()).reason == Killed()
        assert await cell.wait_stopped() == Killed()
    assert len(errors) == asked
    assert f"{cell.path} cannot be killed" in caplog.text
    # It is still being handled, and so it is in the books.
    assert cell.mailbox.pending == 1
    await anyio.sleep(4)
    assert cell.mailbox.pending == 0
    assert (cell.state, cell.reason, nanny.exits) == (
        State.ENDED,
        Killed(),
        [Killed()],
    )
    assert puppet.reasons == []


@pytest.mark.parametrize("hook", ["started", "stopped"])
async def test_a_hook_that_cannot_be_cancelled_is_given_up_likewise(
    stage: Stage, hook: str
) -> None:
    nanny = Nanny(wants=lambda _: False)
    hooks: dict[str, Any] = {hook: hang_deaf}
    cell = stage.cell(Puppet(**hooks), nanny)
    cell.start()
    cell.ref.tell(lambda puppet: puppet.context.stop())
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    cell.abandon()
    assert nanny.exits == [Killed()]
    await anyio.sleep(4)
    assert (cell.state, nanny.exits) == (State.ENDED, [Killed()])


async def test_one_that_was_given_up_can_begin_nothing_any_more(stage: Stage) -> None:
    refused: list[Exception] = []

    async def handle(puppet: Puppet) -> None:
        await hang_deaf()
        context = puppet.context
        context.stop()
        attempts: list[Callable[[], object]] = [
            lambda: context.start_soon(hang),
            lambda: context.send_after(1, "later"),
            lambda: context.ref.monitor(),
        ]
        for attempt in attempts:
            try:
                attempt()
            except ActorNotAlive as error:
                refused.append(error)

    cell = await stage.spawn()
    cell.ref.tell(handle)
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    await anyio.sleep(4)
    assert len(refused) == 3
    assert cell.mailbox.pending == 0


async def test_what_fails_after_it_was_given_up_is_nobodys_failure(
    stage: Stage,
) -> None:
    async def handle(_: Puppet) -> None:
        await hang_deaf()
        raise ERROR

    cell = await stage.spawn()
    cell.ref.tell(handle)
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    await anyio.sleep(4)
    assert cell.reason == Killed()
    assert stage.lost == [(handle, Undelivered.CRASHED)]


async def test_there_is_nobody_to_be_given_up_before_a_start_or_after_an_end(
    stage: Stage,
) -> None:
    cell = stage.cell()
    cell.abandon()
    assert cell.state is State.EXITED
    cell.start()
    await cell.wait_started()
    await cell.ref.stop()
    cell.abandon()
    assert cell.reason == Shutdown()
