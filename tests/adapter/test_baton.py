"""One has it at a time, and whoever is there may hand it on."""

from __future__ import annotations

import trio
import trio.testing

from greenroom.adapter._baton import Baton


async def _take(baton: Baton, name: str, order: list[str]) -> None:
    await baton.take()
    order.append(name)


async def _in_turn() -> None:
    baton = Baton()
    order: list[str] = []
    async with baton:
        assert baton.taken
    assert not baton.taken

    await baton.take()
    async with trio.open_nursery() as nursery:
        for name in "ab":
            nursery.start_soon(_take, baton, name, order)
            await trio.testing.wait_all_tasks_blocked()
        gone = await nursery.start(_give_up, baton)
        nursery.start_soon(_take, baton, "c", order)
        await trio.testing.wait_all_tasks_blocked()
        gone.cancel()
        for expected in ("a", "ab", "abc"):
            # By another task than the one that took it.
            baton.put_down()
            assert baton.taken
            await trio.testing.wait_all_tasks_blocked()
            assert "".join(order) == expected
    baton.put_down()
    assert not baton.taken
    async with baton:
        pass


async def _give_up(
    baton: Baton, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await baton.take()
        raise AssertionError("it was somebody else's")


def test_it_goes_from_hand_to_hand_in_the_order_of_asking() -> None:
    trio.run(_in_turn)
