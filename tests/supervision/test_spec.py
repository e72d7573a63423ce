from __future__ import annotations

import itertools
import math
from inspect import signature
from typing import Any

import pytest

from greenroom import (
    BRUTAL_KILL,
    Actor,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    MailboxOptions,
    Restart,
    Supervisor,
)

from .kit import Journal, Worker, worker


def _make() -> Worker:
    return Worker("a", Journal())


def test_defaults_are_applied() -> None:
    spec = ChildSpec("a", _make)

    assert spec.restart is Restart.PERMANENT
    assert spec.shutdown is None
    assert not spec.significant
    assert spec.start_timeout == 30
    assert spec.mailbox == MailboxOptions()
    assert spec.on_restart == "keep"


def test_missing_fields_are_refused() -> None:
    """Behaviour 15: sup_start_map_faulty_specs."""
    make: Any = ChildSpec
    with pytest.raises(TypeError, match="'start'"):
        make("a")
    with pytest.raises(TypeError, match="'id'"):
        make(start=_make)
    with pytest.raises(TypeError, match="'faulty'"):
        make("a", _make, faulty=1)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("id", ["", "a/b", 1, None, b"a"]),
        ("start", [None, 1, Worker("a", Journal())]),
        ("restart", [None, "permanent", 1]),
        ("shutdown", [-1, -0.1, math.nan, True, "kill", "5"]),
        ("significant", [None, 1, "yes"]),
        ("start_timeout", [0, -1, math.nan, True, None]),
        ("mailbox", [None, 5]),
        ("on_restart", [None, "lose"]),
    ],
)
def test_each_wrong_field_is_refused_by_name(field: str, values: list[Any]) -> None:
    """Behaviour 20: child_specs, child_specs_map."""
    for value in values:
        fields: dict[str, Any] = {"id": "a", "start": _make, field: value}
        with pytest.raises(ValueError, match=f"^{field} must be "):
            ChildSpec(**fields)


def test_the_whole_valid_matrix_is_accepted() -> None:
    """Behaviour 20: child_specs, child_specs_map."""
    shutdowns: list[Any] = [None, 0, 1.5, math.inf, BRUTAL_KILL]
    for restart, shutdown, significant in itertools.product(
        Restart, shutdowns, (False, True)
    ):
        if significant and restart is Restart.PERMANENT:
            with pytest.raises(ValueError, match="False for a permanent child"):
                ChildSpec("a", _make, restart, shutdown=shutdown, significant=True)
        else:
            ChildSpec("a", _make, restart, shutdown=shutdown, significant=significant)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"strategy": "one_for_one"}, "strategy must be Strategy"),
        ({"intensity": 3}, "intensity must be Intensity"),
        ({"backoff": 1.0}, "backoff must be .*Backoff"),
        ({"auto_shutdown": "never"}, "auto_shutdown must be AutoShutdown"),
        ({"rng": 4}, "rng must be .*Random"),
        ({"children": ["a"]}, "a child must be ChildSpec"),
    ],
)
def test_wrong_flags_are_refused_at_construction(options: Any, complaint: str) -> None:
    """Behaviour 19: sup_flags."""
    with pytest.raises(ValueError, match=complaint):
        Supervisor(**options)


@pytest.mark.parametrize("max_children", [-1, 1.5, True, "1"])
def test_a_wrong_limit_is_refused(max_children: Any) -> None:
    """Behaviour 85: with non-ok init."""
    with pytest.raises(ValueError, match="max_children must be an int of at least 0"):
        DynamicSupervisor(max_children=max_children)


def test_an_id_may_be_used_only_once() -> None:
    """Behaviour 20: child_specs, child_specs_map."""
    twice = [ChildSpec("a", _make), ChildSpec("b", _make), ChildSpec("a", _make)]
    with pytest.raises(ValueError, match="children must be of unique ids, got 'a'"):
        Supervisor(twice)


def test_a_significant_child_needs_a_supervisor_that_minds() -> None:
    """Behaviour 20: child_specs, child_specs_map."""
    spec = worker("a", Journal(), Restart.TEMPORARY, significant=True)

    with pytest.raises(ValueError, match="auto_shutdown is NEVER"):
        Supervisor([spec])
    Supervisor([spec], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)


def test_the_defaults_of_a_dynamic_supervisor() -> None:
    """Behaviour 84: set default options."""
    defaults = signature(DynamicSupervisor).parameters
    assert defaults["max_children"].default is None
    assert defaults["intensity"].default == Intensity(max_restarts=3, period=5.0)


@pytest.mark.parametrize(("shutdown", "valid"), [(0, True), (-1, False)])
def test_a_deadline_of_zero_is_one_and_a_negative_is_none(
    shutdown: float, valid: bool
) -> None:
    """Behaviour 100: with valid/invalid shutdown."""
    if valid:
        assert ChildSpec("a", _make, shutdown=shutdown).shutdown == 0
    else:
        with pytest.raises(ValueError, match="shutdown must be seconds"):
            ChildSpec("a", _make, shutdown=shutdown)


def test_a_spec_names_the_type_of_the_messages() -> None:
    class Typed(Actor[int]): ...

    spec: ChildSpec[int] = ChildSpec("a", Typed)
    assert spec.id == "a"
