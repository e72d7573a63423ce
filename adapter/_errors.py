"""What can go wrong between us and a client.

    AdapterError
    ├── ClientGone      the client is not connected any longer
    ├── AckTimeout      it did not answer in time (also a TimeoutError)
    ├── AckFailed       it answered with an error
    └── NotRunning      the adapter has not been started, or has been stopped

`EventError` is what a handler raises to tell its client what is wrong.
"""

from __future__ import annotations


class AdapterError(Exception):
    """Base of what the adapter raises about clients."""


class ClientGone(AdapterError):
    """The client has disconnected, or is being disconnected.

    Attributes:
        sid: Which client it was.
    """

    def __init__(self, sid: str) -> None:
        super().__init__(f"client {sid} is gone")
        self.sid = sid


class AckTimeout(AdapterError, TimeoutError):
    """The client did not answer in time; a late answer is ignored."""

    def __init__(self, sid: str, event: str, seconds: float) -> None:
        super().__init__(f"client {sid} did not answer {event!r} in {seconds:g} s")
        self.sid = sid
        self.event = event
        self.seconds = seconds


class AckFailed(AdapterError):
    """The client answered with an error.

    Attributes:
        code: What it says, for programs.
        message: What it says, for people.  Both come from the client.
    """

    def __init__(self, sid: str, code: str, message: str) -> None:
        super().__init__(f"client {sid} answered {code!r}: {message}")
        self.sid = sid
        self.code = code
        self.message = message


class NotRunning(AdapterError):
    """The adapter is not running, so it has no clients and takes none."""


class EventError(Exception):
    """Raise it in a handler to answer the client with an error of your own.

    The one exception whose text the client always sees.

    Attributes:
        code: For programs, in lower_snake_case by custom.
        message: For people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code: str = _check_text("code", code)
        self.message: str = _check_text("message", message)


class Told(Exception):
    """A handler failed, and has told its client so; an ack is still owed.

    Attributes:
        failure: What it failed of.
    """

    def __init__(self, failure: Exception) -> None:
        super().__init__(failure)
        self.failure = failure


def _check_text(name: str, text: object) -> str:
    # Here, where the handler is that raises it, and not where it is sent.
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, got {text!r}")
    return text
