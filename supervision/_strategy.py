"""Strategy: who goes down, who comes back.

Pure.  The restart rule is a table of two columns, and the one difference from
OTP's is in `is_abnormal`: a child supervisor that gave up has failed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeVar

from ..actors import ExitReason, is_abnormal
from ._spec import Restart

T = TypeVar("T")


class Strategy(enum.Enum):
    """Which children share the fate of one that failed."""

    ONE_FOR_ONE = "one_for_one"
    """None."""
    ONE_FOR_ALL = "one_for_all"
    """All."""
    REST_FOR_ONE = "rest_for_one"
    """Those started after it."""


class AutoShutdown(enum.Enum):
    """Whether the end of significant children ends the supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


#          (after a normal exit, after a failure)
_RESTARTS = {
    Restart.PERMANENT: (True, True),
    Restart.TRANSIENT: (False, True),
    Restart.TEMPORARY: (False, False),
}


def restarts(restart: Restart, reason: ExitReason) -> bool:
    """Whether a child of that kind is started again after *reason*."""
    return _RESTARTS[restart][is_abnormal(reason)]


def affected(strategy: Strategy, children: Sequence[T], failed: T) -> Sequence[T]:
    """Those of *children* that are started again with *failed*, in start order."""
    if strategy is Strategy.ONE_FOR_ONE:
        return [failed]
    if strategy is Strategy.ONE_FOR_ALL:
        return children
    return children[children.index(failed) :]
