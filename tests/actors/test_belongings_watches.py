"""A watch brings one Down, before all that waits, to the incarnation that began it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom.actors import Crashed, Down, Monitor, Shutdown
from greenroom.testing._clock import wait_idle

from .stage import ERROR, Nanny, Puppet, Stage, fail, seen_by, takes

pytestmark = pytest.mark.anyio


async def test_a_watch_brings_one_down(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    monitor: Any = await watcher.ref.ask(lambda _: watched.ref.monitor())
    watched.ref.tell(fail)
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Crashed(ERROR))]
    assert (await monitor.wait()).reason == Crashed(ERROR)


async def test_a_down_goes_before_everything_that_waits(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.tell(lambda _: anyio.sleep(1))
    watcher.ref.tell("waits")
    await wait_idle()
    await watched.ref.stop()
    await anyio.sleep(2)
    assert seen_by(watcher) == [Down(watched.ref, Shutdown()), "waits"]


async def test_each_watch_has_its_own_down(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()

    def watch_twice(_: Puppet) -> None:
        watched.ref.monitor()
        watched.ref.monitor()

    await watcher.ref.ask(watch_twice)
    await watched.ref.stop()
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Shutdown())] * 2


async def test_watching_what_has_ended_brings_the_down_at_once(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    await watched.ref.stop()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Shutdown())]


async def test_a_restart_is_no_end(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn(Puppet, Nanny())
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watched.ref.tell(fail)
    await wait_idle()
    assert watched.incarnation == 2
    assert seen_by(watcher) == []
    await watched.ref.stop()
    await wait_idle()
    assert seen_by(watcher) == [Down(watched.ref, Shutdown())]


async def test_a_watch_that_is_cancelled_brings_nothing(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    monitor: Any = await watcher.ref.ask(lambda _: watched.ref.monitor())
    monitor.cancel()
    monitor.cancel()
    await watched.ref.stop()
    await wait_idle()
    assert seen_by(watcher) == []


async def test_cancelling_takes_back_a_down_that_waits(stage: Stage) -> None:
    watcher, watched = await stage.spawn(), await stage.spawn()
    monitor: Any = await watcher.ref.ask(lambda _: watched.ref.monitor())

    async def handle(_: Puppet) -> None:
        await anyio.sleep(2)
        monitor.cancel()

    watcher.ref.tell(handle)
    await wait_idle()
    await watched.ref.stop()
    assert await watcher.ref.ask("next") == "next"
    assert seen_by(watcher) == ["next"]


async def test_a_watch_ends_with_the_incarnation_that_began_it(stage: Stage) -> None:
    watcher = await stage.spawn(Puppet, Nanny())
    watched = await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.tell(fail)
    await wait_idle()
    await watched.ref.stop()
    await wait_idle()
    assert watcher.incarnation == 2
    assert seen_by(watcher) == []


async def test_a_down_that_waits_ends_with_the_incarnation_too(stage: Stage) -> None:
    async def handle(_: Puppet) -> None:
        await anyio.sleep(1)
        raise ERROR

    watcher = await stage.spawn(Puppet, Nanny())
    watched = await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.tell(handle)
    await wait_idle()
    await watched.ref.stop()
    await anyio.sleep(2)
    assert watcher.incarnation == 2
    assert seen_by(watcher) == []


async def test_a_down_for_one_that_is_stopping_harms_nobody(stage: Stage) -> None:
    watcher = await stage.spawn(Puppet(stopped=takes(1)))
    watched = await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    watcher.ref.stop_nowait()
    await wait_idle()
    await watched.ref.stop()
    assert await watcher.wait_stopped() == Shutdown()


async def test_a_crash_over_a_down_is_a_crash(stage: Stage) -> None:
    class Fragile(Puppet):
        def receive(self, message: Any) -> object:
            if isinstance(message, Down):
                raise ERROR
            return super().receive(message)

    watcher, watched = await stage.spawn(Fragile), await stage.spawn()
    await watcher.ref.ask(lambda _: watched.ref.monitor())
    await watched.ref.stop()
    assert await watcher.wait_stopped() == Crashed(ERROR)
    assert stage.lost == []


async def test_one_bound_to_another_ends_with_its_reason(stage: Stage) -> None:
    puppet = Puppet()
    bound, other = await stage.spawn(puppet), await stage.spawn()
    await bound.ref.ask(lambda puppet: puppet.context.bind_to(other.ref))
    await other.ref.stop(Shutdown("together"))
    assert await bound.wait_stopped() == Shutdown("together")
    assert puppet.reasons == [Shutdown("together")]
    assert puppet.seen == []


async def test_one_bound_to_what_has_ended_ends_at_once(stage: Stage) -> None:
    bound, other = await stage.spawn(), await stage.spawn()
    await other.ref.stop()
    bound.ref.tell(lambda puppet: puppet.context.bind_to(other.ref))
    assert await bound.wait_stopped() == Shutdown()


async def test_one_that_hears_of_an_end_may_unbind_another(stage: Stage) -> None:
    """Whoever is told first may cancel what others would be told."""
    other = await stage.spawn()
    late: list[Monitor] = []

    first = await stage.spawn()
    await first.ref.ask(lambda puppet: puppet.context.bind_to(other.ref))
    second = await stage.spawn()
    watch = await second.ref.ask(lambda _: other.ref.monitor())
    assert isinstance(watch, Monitor)
    late.append(watch)
    # Stopping closes the first one's mailbox, which is heard of in place.
    first.ref.tell(lambda _: anyio.sleep(1))
    first.ref.tell("lost as it stops")
    await wait_idle()
    stage.runtime.dead_letters.listen(lambda _: late[0].cancel())
    await other.ref.stop()
    await first.wait_stopped()
    await wait_idle()
    assert seen_by(second) == []
    assert late[0].down is None
