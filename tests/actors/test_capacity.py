from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from greenroom import MailboxOptions, Overflow


def weigh(message: object) -> int:
    return 1


def key(message: object) -> str:
    return "same"


def test_a_mailbox_is_bounded_and_refuses_by_default() -> None:
    options = MailboxOptions()

    assert options.capacity == 1024
    assert options.overflow is Overflow.REJECT
    assert options.max_weight is None


@pytest.mark.parametrize("capacity", [0, -1, 1.0, True, False, None, "3", math.inf])
def test_a_capacity_is_an_int_of_at_least_one(capacity: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"capacity must be an int of at least 1, got {capacity!r}"
    ):
        MailboxOptions(capacity=capacity)


@pytest.mark.parametrize("overflow", ["reject", None, 1])
def test_an_overflow_is_one_of_the_enumeration(overflow: Any) -> None:
    with pytest.raises(ValueError, match="overflow must be an Overflow, got"):
        MailboxOptions(overflow=overflow)


def test_conflating_wants_a_key() -> None:
    with pytest.raises(ValueError, match=r"key must be given with Overflow\.CONFLATE"):
        MailboxOptions(overflow=Overflow.CONFLATE)


@pytest.mark.parametrize("overflow", set(Overflow) - {Overflow.CONFLATE})
def test_a_key_is_for_conflating_only(overflow: Overflow) -> None:
    with pytest.raises(ValueError, match=r"key must be given with Overflow\.CONFLATE"):
        MailboxOptions(overflow=overflow, key=key)


@pytest.mark.parametrize("options", [{"weigh": weigh}, {"max_weight": 10}])
def test_weights_want_a_limit_and_a_limit_wants_weights(options: Any) -> None:
    with pytest.raises(ValueError, match="weigh and max_weight must be given together"):
        MailboxOptions(**options)


@pytest.mark.parametrize("max_weight", [0, -1, 1.5, True, "3"])
def test_a_weight_limit_is_an_int_of_at_least_one(max_weight: Any) -> None:
    with pytest.raises(ValueError, match="max_weight must be an int of at least 1"):
        MailboxOptions(weigh=weigh, max_weight=max_weight)


def test_all_options_can_go_together() -> None:
    options = MailboxOptions(
        capacity=1, overflow=Overflow.CONFLATE, key=key, weigh=weigh, max_weight=1
    )

    assert options.key is key
    assert options.weigh is weigh


def test_options_cannot_be_changed() -> None:
    options: Any = MailboxOptions()

    with pytest.raises(dataclasses.FrozenInstanceError):
        options.capacity = 3
