from __future__ import annotations

import pytest

from greenroom import (
    ActorCrashed,
    ActorError,
    ActorNotAlive,
    AskCycle,
    AskTimeout,
    Crashed,
    Decline,
    MailboxFull,
    NameTaken,
    SendTimeout,
    Shutdown,
    StartError,
)

CAUSE = ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    ("error", "says", "has"),
    [
        (
            MailboxFull("/chat", 3, "hello"),
            "mailbox of /chat is full (3 messages)",
            {"path": "/chat", "capacity": 3, "message": "hello"},
        ),
        (
            ActorNotAlive("/chat", Shutdown("bye"), "hello"),
            "/chat is not alive: Shutdown(info='bye')",
            {"path": "/chat", "reason": Shutdown("bye"), "message": "hello"},
        ),
        (
            ActorNotAlive("/chat", Crashed(CAUSE)),
            f"/chat is not alive: Crashed(error={CAUSE!r})",
            {"message": None},
        ),
        (
            ActorCrashed("/chat", CAUSE),
            f"/chat crashed: {CAUSE!r}",
            {"path": "/chat", "__cause__": CAUSE},
        ),
        (
            AskTimeout("/chat", 0.5),
            "no reply from /chat within 0.5 s",
            {"path": "/chat", "seconds": 0.5},
        ),
        (
            SendTimeout("/chat", 5.0),
            "no room in the mailbox of /chat within 5 s",
            {"path": "/chat", "seconds": 5.0},
        ),
        (
            AskCycle(["/a", "/b", "/a"]),
            "waiting would never end: /a -> /b -> /a",
            {"cycle": ("/a", "/b", "/a")},
        ),
        (
            StartError("/chat", CAUSE),
            f"/chat did not start: {CAUSE!r}",
            {"path": "/chat", "__cause__": CAUSE},
        ),
        (
            NameTaken("lobby", "<the holder>"),
            "'lobby' is held by <the holder>",
            {"name": "lobby", "holder": "<the holder>"},
        ),
    ],
)
def test_an_error_says_what_happened_and_has_its_data(
    error: ActorError, says: str, has: dict[str, object]
) -> None:
    assert isinstance(error, ActorError)
    assert str(error) == says
    assert {name: getattr(error, name) for name in has} == has


@pytest.mark.parametrize("error", [AskTimeout("/a", 1.0), SendTimeout("/a", 1.0)])
def test_running_out_of_time_is_a_timeout_error(error: ActorError) -> None:
    assert isinstance(error, TimeoutError)


def test_to_decline_is_no_error_of_the_library() -> None:
    assert not issubclass(Decline, ActorError)
