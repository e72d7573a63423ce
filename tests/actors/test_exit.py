from __future__ import annotations

import pytest

from greenroom import (
    Crashed,
    Declined,
    ExitReason,
    GaveUp,
    Killed,
    Normal,
    Shutdown,
    StartFailed,
    is_abnormal,
)
from greenroom.actors import error_of
from greenroom.actors._exit import judge, sole_leaf

BOOM = ValueError("boom")
OTHER = KeyError("other")


class Cancelled(BaseException):
    """Stands for what the event loop cancels with."""


def group(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("group", errors)


@pytest.mark.parametrize(
    ("reason", "abnormal", "error"),
    [
        (Normal(), False, None),
        (Shutdown(), False, None),
        (Shutdown("why"), False, None),
        (Declined(), False, None),
        (Killed(), True, None),
        (Crashed(BOOM), True, BOOM),
        (StartFailed(BOOM), True, BOOM),
        (GaveUp("/a/b", BOOM), True, BOOM),
        (GaveUp("/a/b", None), True, None),
    ],
)
def test_an_exit_is_abnormal_when_something_failed(
    reason: ExitReason, abnormal: bool, error: BaseException | None
) -> None:
    assert is_abnormal(reason) is abnormal
    assert error_of(reason) is error


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_group_with_one_leaf_is_that_leaf(depth: int) -> None:
    error: BaseException = BOOM
    for _ in range(depth):
        error = group(error)

    assert sole_leaf(error) is BOOM


def test_a_group_with_two_leaves_stays_a_group() -> None:
    pair = group(BOOM, OTHER)

    assert sole_leaf(group(pair)) is pair


def test_an_exception_is_a_crash() -> None:
    assert judge(BOOM, Cancelled) == (Crashed(BOOM), None)


def test_a_group_of_one_exception_is_a_crash_with_that_exception() -> None:
    assert judge(group(group(BOOM)), Cancelled) == (Crashed(BOOM), None)


def test_a_group_of_two_exceptions_is_a_crash_with_both() -> None:
    reason, fatal = judge(group(BOOM, OTHER), Cancelled)

    assert fatal is None
    assert isinstance(reason, Crashed)
    assert getattr(reason.error, "exceptions", None) == (BOOM, OTHER)


@pytest.mark.parametrize(
    "error", [Cancelled(), group(Cancelled()), group(Cancelled(), group(Cancelled()))]
)
def test_a_cancellation_is_a_kill_however_it_is_wrapped(error: BaseException) -> None:
    assert judge(error, Cancelled) == (Killed(), None)


def test_a_cancellation_beside_an_exception_says_nothing() -> None:
    assert judge(group(Cancelled(), BOOM), Cancelled) == (Crashed(BOOM), None)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_is_fatal(kind: type[BaseException]) -> None:
    error = kind()

    assert judge(error, Cancelled) == (Crashed(error), error)


def test_what_is_fatal_comes_before_what_else_is_in_the_group() -> None:
    error = KeyboardInterrupt()

    assert judge(group(BOOM, Cancelled(), group(error)), Cancelled) == (
        Crashed(error),
        error,
    )


def test_of_several_fatal_ones_the_first_counts() -> None:
    first, second = SystemExit(1), KeyboardInterrupt()

    assert judge(group(group(first), second), Cancelled) == (Crashed(first), first)
