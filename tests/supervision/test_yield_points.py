"""Where a simulation may let others go first."""

from __future__ import annotations

import pytest

from greenroom import Strategy
from greenroom.testing import wait_idle

from .kit import Boom, Journal, child, incarnations, running, statuses, trio

pytestmark = pytest.mark.anyio


async def test_others_may_go_before_each_start_of_a_group_restart() -> None:
    journal = Journal()
    supervisor = trio(journal, Strategy.ONE_FOR_ALL)
    async with running(supervisor):
        runtime = supervisor.context.runtime

        async def pause(point: str) -> None:
            if point == "restart":
                journal.append("pause restart")
                if len(journal.of("pause")) == 2:
                    await supervisor.stop_child("b")

        runtime.pause = pause
        journal.clear()
        child(supervisor, "c").tell(Boom())
        await wait_idle()
        assert [each for each in journal if each.split()[0] in ("pause", "start")] == [
            *("pause restart", "start a", "pause restart"),
            *("pause restart", "start c"),
        ]
        assert statuses(supervisor) == {"a": "running", "b": "stopped", "c": "running"}
        await supervisor.restart_child("b")
        assert await incarnations(supervisor) == [2, 1, 2]
