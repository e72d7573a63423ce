"""The hash by which keys are divided."""

from __future__ import annotations

import enum
import itertools
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.supervision._keys import mixed, stable_hash


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


class Number(enum.IntEnum):
    ONE = 1


class UserId(str):
    __slots__ = ()


ID = uuid.UUID("12345678123456781234567812345678")
# Each is another key than all the others.
KEYS: list[Any] = [
    *(1, 1.0, True, "1", b"1", Number.ONE, -1, 0, 0.0, False, None, "", b"", ()),
    *("a", UserId("a"), Color.RED, Color.BLUE, "RED", "b", ID, str(ID), "\ud800"),
    *((1,), (1.0,), (True,), ((1,),), (1, 2), (12,), ("a", "b"), ("ab",), ("a,b",)),
    *(("a", ("b",)), (("a",), "b"), float("inf"), 10**40, "ä", ("1",), 1.5),
]


def test_keys_that_differ_in_type_or_value_have_different_hashes() -> None:
    """Behaviour 134: compares using ===."""
    hashes = [stable_hash(key) for key in KEYS]

    assert len(set(hashes)) == len(KEYS)
    assert all(0 <= each < 2**64 for each in hashes)


def test_the_hash_is_the_same_in_every_process() -> None:
    """Behaviour 137: on success."""
    program = (
        "from greenroom.supervision._keys import stable_hash\n"
        "print([stable_hash(key) for key in ('room', 7, ('a', 1.5), None, b'x')])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    # Written down, so that another version of ours divides keys alike.
    hashes = [
        4483094202632827026,
        15908347016462299837,
        12417351340550099890,
        5184711293890205191,
        14852319187538263318,
    ]
    assert printed == {f"{hashes}\n"}


def test_equal_keys_of_one_type_have_one_hash() -> None:
    assert stable_hash(0.0) == stable_hash(-0.0)
    assert stable_hash(("a", 1)) == stable_hash(tuple(["a", 1]))
    assert stable_hash(float("nan")) == stable_hash(float("nan"))


simple = st.one_of(
    st.integers(), st.text(), st.binary(), st.floats(), st.booleans(), st.none()
)


@given(st.recursive(simple, lambda keys: st.tuples(keys, keys)))
def test_every_such_key_has_a_hash(key: Hashable) -> None:
    assert 0 <= stable_hash(key) < 2**64


@pytest.mark.parametrize("key", [object(), frozenset({1}), 1j, (1, object()), len])
def test_a_key_without_a_stable_hash_is_refused(key: Hashable) -> None:
    with pytest.raises(TypeError, match="to be the same in every process, got"):
        stable_hash(key)


def test_keys_are_spread_evenly() -> None:
    """Behaviour 137: on success."""
    for keys in (range(8000), [f"room-{n}" for n in range(8000)]):
        counts = Counter(stable_hash(key) % 8 for key in keys)
        assert len(counts) == 8
        # The standard deviation is 30.
        assert all(850 < count < 1150 for count in counts.values())


def test_mixing_depends_on_all_of_both() -> None:
    ones = [1 << bit for bit in range(64)]
    mixes = {mixed(0, one) for one in ones} | {mixed(one, 0) for one in ones}

    assert len(mixes) == 64
    changed = [
        (mixed(0, one) ^ mixed(0, other)).bit_count()
        for one, other in itertools.pairwise(ones)
    ]
    assert min(changed) > 10
