from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from greenroom import Options, Overflow

COUNTS = [
    "inbox_messages",
    "outbox_messages",
    "outbox_bytes",
    "max_message_bytes",
    "max_depth",
    "max_strikes",
    "max_rooms",
    "max_acks",
]
SECONDS = [
    "send_seconds",
    "handler_grace",
    "disconnect_seconds",
    "close_seconds",
    "drain_seconds",
    "ack_seconds",
]


def make(name: str, value: object) -> Options:
    arguments: dict[str, Any] = {name: value}
    return Options(**arguments)


def test_every_option_is_tested() -> None:
    assert {*COUNTS, *SECONDS, "overflow"} == {field.name for field in fields(Options)}


def test_everything_is_bounded_by_default() -> None:
    options = Options()
    for name in (*COUNTS, *SECONDS):
        assert 0 < getattr(options, name) < math.inf


def test_options_are_frozen_and_keyword_only() -> None:
    with pytest.raises(FrozenInstanceError):
        Options().inbox_messages = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        Options(5)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", ["5", 5.0, None, True])
def test_a_count_is_an_int(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an int, got {value!r}"):
        make(name, value)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_has_a_least_value(name: str) -> None:
    least = 0 if name == "max_strikes" else 1
    assert getattr(make(name, least), name) == least
    with pytest.raises(ValueError, match=f"{name} must be at least {least}, got"):
        make(name, least - 1)


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", ["5", None, True])
def test_seconds_are_a_number(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} must be seconds, got {value!r}"):
        make(name, value)


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_seconds_are_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0 and finite, got"):
        make(name, value)


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5])
def test_seconds_may_be_whole_or_not(name: str, value: float) -> None:
    assert getattr(make(name, value), name) == value


@pytest.mark.parametrize("value", [Overflow.STOP, Overflow.DROP_OLD, Overflow.DROP_NEW])
def test_a_full_outbox_disconnects_or_drops(value: Overflow) -> None:
    assert Options(overflow=value).overflow is value


@pytest.mark.parametrize(
    "value", [Overflow.REJECT, Overflow.BLOCK, Overflow.CONFLATE, "stop", None, 1]
)
def test_a_full_outbox_cannot_do_anything_else(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"overflow must be one of Overflow\.STOP, Overflow\.DROP_OLD, "
        r"Overflow\.DROP_NEW, got",
    ):
        make("overflow", value)
