from __future__ import annotations

import pytest

from greenroom import (
    ActorError,
    ChildDeclined,
    ChildExists,
    ChildNotFound,
    ChildRunning,
    SupervisionFailed,
    SupervisorError,
    TooManyChildren,
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ChildExists("a", None), "child 'a' exists and is not running"),
        (ChildNotFound("a"), "no such child: 'a'"),
        (ChildRunning("a"), "child 'a' runs, or is being restarted"),
        (TooManyChildren(3), "there are 3 children already"),
        (ChildDeclined("/a"), "/a declined to start"),
        (
            SupervisionFailed("/a", ValueError("x")),
            "/a failed, and who supervises it gave up: ValueError('x')",
        ),
        (SupervisionFailed("/a", None), "/a failed, and who supervises it gave up"),
    ],
)
def test_an_error_says_what_and_who(error: SupervisorError, text: str) -> None:
    assert str(error) == text
    assert isinstance(error, ActorError)
