from __future__ import annotations

import pytest

from greenroom import (
    Crashed,
    Declined,
    ExitReason,
    GaveUp,
    Killed,
    Normal,
    Restart,
    Shutdown,
    StartFailed,
    Strategy,
)
from greenroom.supervision._strategy import affected, restarts

NORMAL = [Normal(), Shutdown(), Shutdown("why"), Declined()]
ABNORMAL = [
    Killed(),
    Crashed(ValueError()),
    StartFailed(ValueError()),
    GaveUp("/a", ValueError()),
]


@pytest.mark.parametrize("reason", NORMAL + ABNORMAL, ids=repr)
@pytest.mark.parametrize("restart", Restart)
def test_the_restart_type_and_the_reason_decide(
    restart: Restart, reason: ExitReason
) -> None:
    expected = {
        Restart.PERMANENT: True,
        Restart.TRANSIENT: reason in ABNORMAL,
        Restart.TEMPORARY: False,
    }
    assert restarts(restart, reason) is expected[restart]


@pytest.mark.parametrize(
    ("strategy", "group"),
    [
        (Strategy.ONE_FOR_ONE, "b"),
        (Strategy.ONE_FOR_ALL, "abc"),
        (Strategy.REST_FOR_ONE, "bc"),
    ],
)
def test_the_strategy_says_who_goes_down(strategy: Strategy, group: str) -> None:
    assert "".join(affected(strategy, "abc", "b")) == group
