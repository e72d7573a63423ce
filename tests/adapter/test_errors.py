from __future__ import annotations

from typing import Any

import pytest

from greenroom import AckFailed, AckTimeout, AdapterError, ClientGone, EventError


def test_errors_say_what_came_and_carry_it() -> None:
    gone = ClientGone("~sid")
    assert (str(gone), gone.sid) == ("client ~sid is gone", "~sid")
    late = AckTimeout("~sid", "ask", 1.5)
    assert str(late) == "client ~sid did not answer 'ask' in 1.5 s"
    assert isinstance(late, TimeoutError)
    failed = AckFailed("~sid", "no", "not me")
    assert str(failed) == "client ~sid answered 'no': not me"
    assert all(isinstance(error, AdapterError) for error in (gone, late, failed))


def test_an_event_error_carries_what_the_client_is_told() -> None:
    error = EventError("busy", "later")
    assert (error.code, error.message) == ("busy", "later")
    assert not isinstance(error, AdapterError)


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (404, "no", "code must be a str, got 404"),
        ("no", ValueError("x"), "message must be a str, got ValueError"),
        ("no", None, "message must be a str, got None"),
    ],
)
def test_an_event_error_is_text(code: Any, message: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        EventError(code, message)
