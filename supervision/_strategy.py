"""Strategy: who goes down, who comes back.

Pure.  The one difference from OTP's rules is in `is_abnormal`: a child supervisor
that gave up has failed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeGuard, TypeVar

from ..actors import ExitReason, error_of, is_abnormal
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


def restarts(restart: Restart, reason: ExitReason) -> bool:
    """Whether a child of that kind is started again after *reason*.

    =========  ==================  ===============
    child      after a normal end  after a failure
    =========  ==================  ===============
    permanent  yes                 yes
    transient  no                  yes
    temporary  no                  no
    =========  ==================  ===============
    """
    if restart is Restart.TRANSIENT:
        return is_abnormal(reason)
    return restart is Restart.PERMANENT


def restarts_on(kinds: tuple[type[Exception], ...], reason: ExitReason) -> bool:
    """Whether *kinds* stand for all that is behind *reason*."""
    error = error_of(reason)
    if _is_group(error):
        return error.split(kinds)[1] is None
    return error is None or isinstance(error, kinds)


def escalates_on(kinds: tuple[type[Exception], ...], reason: ExitReason) -> bool:
    """Whether *kinds* stand for any of what is behind *reason*."""
    error = error_of(reason)
    if _is_group(error):
        return error.split(kinds)[0] is not None
    return isinstance(error, kinds)


def _is_group(
    error: BaseException | None,
) -> TypeGuard[BaseExceptionGroup[BaseException]]:
    return isinstance(error, BaseExceptionGroup)


def affected(strategy: Strategy, children: Sequence[T], failed: T) -> Sequence[T]:
    """Those of *children* that are started again with *failed*, in start order."""
    if strategy is Strategy.ONE_FOR_ONE:
        return [failed]
    if strategy is Strategy.ONE_FOR_ALL:
        return children
    return children[children.index(failed) :]
