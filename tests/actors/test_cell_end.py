"""An end is an end, and a final stop leads to it, whatever the parent thinks."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom.actors import (
    Crashed,
    Down,
    ExitReason,
    Killed,
    Monitor,
    Shutdown,
    State,
    Undelivered,
)
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, fail, takes

pytestmark = pytest.mark.anyio


def always(_: ExitReason) -> bool:
    return True


# -- ends ------------------------------------------------------------------


async def test_the_end_releases_names_then_the_mailbox_then_the_downs(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny(later=True))
    log: list[object] = []
    cell.at_end(lambda body: log.append((body.ref, body.mailbox.closed)))
    cell.at_end(log.append)
    cell.not_at_end(log.append)
    cell.ref.tell(fail)
    cell.ref.tell("left over")
    await cell.wait_stopped()
    stage.runtime.dead_letters.listen(lambda letter: log.append(letter.message))

    class Watcher:
        def begin_watch(self, watch: object) -> None: ...

        def watched_ended(self, watch: Any) -> None:
            log.append(watch.down)

        def end_watch(self, watch: object) -> None: ...

    Monitor(cell, Watcher())
    cell.end(Shutdown())
    down = Down(cell.ref, Shutdown())
    assert log == [(cell.ref, False), "left over", down]


async def test_an_end_is_an_end(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.stop(Shutdown(1))
    cell.end(Shutdown(2))
    cell.kill()
    cell.request_stop(Shutdown(3), final=True)
    assert (cell.state, cell.reason, cell.ending) == (
        State.ENDED,
        Shutdown(1),
        Shutdown(1),
    )
    assert not cell.restarts(Killed())


async def test_one_that_was_never_started_can_be_ended(stage: Stage) -> None:
    cell = stage.cell()
    cell.ref.tell("early")
    assert (cell.waits, cell.ran) == ((), False)
    cell.end(Shutdown())
    assert stage.lost == [("early", Undelivered.STOPPED)]
    assert (await cell.ref.monitor().wait()).reason == Shutdown()


async def test_one_that_lives_is_left_to_itself_when_it_is_ended(
    stage: Stage,
) -> None:
    puppet = Puppet()
    cell = await stage.spawn(puppet)
    cell.ref.tell(lambda _: anyio.sleep_forever())
    await wait_idle()
    cell.end(Shutdown("by order"))
    assert cell.reason == Shutdown("by order")
    assert puppet.was_killed
    await wait_idle()
    assert puppet.reasons == []
    assert cell.mailbox.pending == 0


async def test_what_ends_as_a_parent_restarts_the_unkillable_stays_ended(
    stage: Stage,
) -> None:
    async def deaf(_: Puppet) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)

    cell = await stage.spawn(Puppet, Nanny(always))
    cell.ref.tell(deaf)
    await wait_idle()
    cell.kill()
    await wait_idle()
    cell.abandon()
    assert cell.state is State.ENDED
    await anyio.sleep(3)
    assert cell.state is State.ENDED
    assert not cell.ref.alive


# -- final stops -----------------------------------------------------------


@pytest.mark.parametrize("first", ["stop", "nothing"])
async def test_a_final_stop_closes_the_mailbox_whatever_the_parent_thinks(
    stage: Stage, first: str
) -> None:
    cell = await stage.spawn(Puppet, Nanny(always, later=True))
    cell.ref.tell(lambda _: anyio.sleep(1))
    cell.ref.tell("waits")
    await wait_idle()
    if first == "stop":
        cell.request_stop(Shutdown("first"))
        assert cell.ref.alive
    cell.request_stop(Shutdown("final"), final=True)
    assert not cell.ref.alive
    assert stage.lost == [("waits", Undelivered.STOPPED)]
    reason = await cell.wait_stopped()
    assert reason == Shutdown("first" if first == "stop" else "final")
    cell.end(reason)


async def test_a_start_after_a_final_stop_opens_the_mailbox_again(
    stage: Stage,
) -> None:
    cell = await stage.spawn(Puppet, Nanny(always))
    cell.request_stop(Shutdown(), final=True)
    await cell.wait_stopped()
    assert await cell.wait_started() is None
    assert await cell.ref.ask("again") == "again"


async def test_a_stop_that_a_restart_follows_leaves_the_mailbox_open(
    stage: Stage,
) -> None:
    nanny = Nanny(always, later=True)
    cell = await stage.spawn(Puppet(stopped=takes(1)), nanny)
    cell.ref.stop_nowait()
    await wait_idle()
    cell.ref.tell("kept")
    assert await cell.wait_stopped() == Shutdown()
    cell.start()
    assert await cell.wait_started() is None


async def test_a_stop_after_a_crash_changes_nothing(stage: Stage) -> None:
    puppet = Puppet(stopped=takes(1))
    cell = await stage.spawn(puppet, Nanny(later=True))
    cell.ref.tell(fail)
    await wait_idle()
    cell.ref.stop_nowait(Shutdown("too late"))
    assert await cell.wait_stopped() == Crashed(ERROR)
    assert puppet.reasons == [Crashed(ERROR)]
