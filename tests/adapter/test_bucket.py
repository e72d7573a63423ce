from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom import Excess, Options
from greenroom.adapter._bucket import Bucket, Rates, rates_of, size_of


def bucket_of(
    *,
    message_rate: float = 0.0,
    message_burst: int = 1,
    byte_rate: float = 0.0,
    byte_burst: int = 1,
    lends: bool = True,
) -> Bucket:
    rates = Rates(message_rate, message_burst, byte_rate, byte_burst, lends)
    return Bucket(rates, 100.0)


@pytest.mark.parametrize(
    ("frame", "size"),
    [("say", 3), ("", 0), ("é€😀", 9), (b"\xff\xff", 2), ("\ud800", 3)],
)
def test_a_size_is_what_goes_over_the_wire(frame: str | bytes, size: int) -> None:
    assert size_of(frame) == size


def test_a_burst_passes_at_once_and_then_one_at_a_time() -> None:
    bucket = bucket_of(message_rate=2, message_burst=3)
    assert [bucket.take(9, 100.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    # Both were lent, and are paid for by now.
    assert bucket.take(9, 101.5) == 0


def test_a_silence_fills_it_up_to_the_burst_and_no_further() -> None:
    bucket = bucket_of(message_rate=1, message_burst=2)
    assert [bucket.take(0, 1000.0) for _ in range(3)] == [0, 0, 1.0]


def test_bytes_have_a_bucket_of_their_own() -> None:
    bucket = bucket_of(byte_rate=10, byte_burst=100)
    assert bucket.take(60, 100.0) == 0
    assert bucket.take(60, 100.0) == 2.0
    assert bucket.take(0, 102.0) == 0


def test_the_longer_of_both_waits_counts() -> None:
    bucket = bucket_of(message_rate=1, message_burst=1, byte_rate=1, byte_burst=9)
    assert bucket.take(9, 100.0) == 0
    assert bucket.take(9, 100.0) == 9.0
    bucket = bucket_of(message_rate=1, message_burst=1, byte_rate=9, byte_burst=9)
    assert bucket.take(9, 100.0) == 0
    assert bucket.take(3, 100.0) == 1.0


def test_what_is_larger_than_the_bucket_passes_when_that_is_full_and_is_owed() -> None:
    bucket = bucket_of(byte_rate=10, byte_burst=100)
    assert bucket.take(500, 100.0) == 0
    assert bucket.take(1, 100.0) == pytest.approx(40.1)


def test_what_is_not_lent_is_not_taken() -> None:
    bucket = bucket_of(message_rate=1, message_burst=1, lends=False)
    assert bucket.take(0, 100.0) == 0
    assert [bucket.take(0, 100.5) for _ in range(3)] == [0.5] * 3
    assert bucket.take(0, 101.0) == 0


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 300), max_size=20),
    gaps=st.lists(st.floats(0, 3), min_size=20, max_size=20),
    lends=st.booleans(),
)
def test_no_more_passes_than_the_rates_say(
    sizes: list[int], gaps: list[float], lends: bool
) -> None:
    bucket = bucket_of(
        message_rate=2, message_burst=4, byte_rate=50, byte_burst=200, lends=lends
    )
    now, passed = 100.0, list[tuple[float, int]]()
    for size, gap in zip(sizes, gaps, strict=False):
        now += gap
        wait = bucket.take(size, now)
        if wait and not lends:
            continue
        now += wait
        passed.append((now, size))
    for first, (began, _) in enumerate(passed):
        for last, (ended, _) in enumerate(passed[first:], first):
            during = passed[first : last + 1]
            seconds = ended - began + 1e-6
            assert len(during) <= 4 + 2 * seconds
            # One message may be larger than the bucket.
            assert sum(size for _, size in during[:-1]) <= 200 + 50 * seconds + 100


def test_options_without_a_rate_ask_for_no_buckets() -> None:
    assert rates_of(Options(message_burst=1, byte_burst=1), lends=True) is None
    assert rates_of(Options(message_rate=1), lends=True) == Rates(
        1, 100, 0, 1_048_576, True
    )
    options = Options(byte_rate=1, byte_burst=5, excess=Excess.CLOSE)
    assert rates_of(options, lends=False) == Rates(0, 100, 1, 5, False)
