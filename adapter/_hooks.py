"""Nestipy's own wire: the application's hooks say what an event is.

For applications written for the ``WebsocketAdapter`` that Nestipy ships. Its
frames carry no namespace and no acks, only what the hooks put there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import TypeAlias, cast, final

from ._calling import is_failure
from ._codec import NotEncodable, check_max_bytes, is_longer, to_json
from ._envelope import DEFAULT_MAX_BYTES, error_frame
from ._packets import BadFrame, Event, Frame

# The parameters are left open because hooks in the wild say ``payload: str``,
# although a binary frame gives them bytes.
Preprocess: TypeAlias = Callable[..., tuple[str, object]]
"""``(payload, message) -> (event, data)``; *message* as ASGI receives it."""

PostProcess: TypeAlias = Callable[..., object]
"""``(event, data) -> payload``."""


@final
class PayloadHooks:
    """The codec of an application that brings its own wire.

    Args:
        preprocess: Makes ``(event, data)`` of a payload; without it every
            frame is the event *path_event* and its payload the data.
        post_process: Makes a payload of an event and its data; without it
            the data is the payload, and the event's name is not sent. Text
            travels as it is, bytes as a binary frame, anything else as JSON
            text.
        path_event: The adapter's path without slashes, as in ``"ws"``.
        max_bytes: The longest frame that is read, in bytes of UTF-8.
    """

    __slots__ = ("_max_bytes", "_path_event", "_post_process", "_preprocess")

    def __init__(
        self,
        preprocess: Preprocess | None,
        post_process: PostProcess | None,
        path_event: str,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        _check_hook("preprocess", preprocess)
        _check_hook("post_process", post_process)
        _check_path_event(path_event)
        self._preprocess = preprocess
        self._post_process = post_process
        self._path_event = path_event
        self._max_bytes = check_max_bytes(max_bytes)

    def decode(self, frame: Frame) -> Event:
        """Let the hook read *frame*.

        Raises:
            BadFrame: It is ``too_large``, or ``preprocess_failed``: the hook
                raised, which is the cause, or returned something else than
                an event and its data.
        """
        if is_longer(frame, self._max_bytes):
            raise BadFrame(
                "too_large", f"expected a frame of at most {self._max_bytes} bytes"
            )
        if self._preprocess is None:
            return Event(self._path_event, frame)
        # Both keys, as hypercorn sends them: hooks index either.
        message: dict[str, object] = {
            "type": "websocket.receive",
            "bytes": frame if isinstance(frame, bytes) else None,
            "text": frame if isinstance(frame, str) else None,
        }
        try:
            made: object = self._preprocess(frame, message)
        except BaseException as error:
            if not is_failure(error):
                raise
            # Its text may quote the payload, or our insides: it stays here.
            raise BadFrame(
                "preprocess_failed", "expected a payload the application can read"
            ) from error
        match made:
            case (str() as event, data):
                return Event(event, data)
            case _:
                raise BadFrame(
                    "preprocess_failed",
                    "expected preprocess to return a pair, the event's name and its "
                    f"data, got {_describe(made)}",
                )

    def event(self, event: str, data: object, namespace: str, id: int | None) -> Frame:
        """Let the hook make a payload; the wire has no place for *namespace*.

        Raises:
            NotEncodable: The hook raised, which is the cause; or what it
                returned has no form in JSON; or an ack is asked for.
        """
        if id is not None:
            raise NotEncodable("acks need the JSON envelope", event)
        payload = data
        if self._post_process is not None:
            try:
                payload = self._post_process(event, data)
            except BaseException as error:
                if not is_failure(error):
                    raise
                raise NotEncodable(
                    f"post_process raised {type(error).__name__} for event {event!r}",
                    event,
                ) from error
        if isinstance(payload, str):
            return _check_text(payload, event)
        if isinstance(payload, bytes):
            return payload
        if isinstance(payload, (bytearray, memoryview)):
            return bytes(cast("bytearray", payload))
        return to_json(payload, event)

    def kept(
        self, event: str, data: object, namespace: str, room: str
    ) -> Callable[[int], Frame]:
        """Raise NotEncodable: this wire has no place for an offset."""
        raise NotEncodable("history needs the JSON envelope", event)

    def read_kept(self, frame: Frame) -> tuple[str, object]:
        """Raise NotEncodable: no frame of this wire was kept."""
        raise NotEncodable("history needs the JSON envelope")

    def ack(self, id: int, data: object) -> Frame:
        """Raise NotEncodable: no event of this wire asks for an ack."""
        raise NotEncodable("acks need the JSON envelope")

    def ack_failure(self, id: int, code: str, message: str) -> Frame:
        """Raise NotEncodable: no event of this wire asks for an ack."""
        raise NotEncodable("acks need the JSON envelope")

    def error(self, code: str, message: str) -> str:
        """Encode an error as Nestipy's own adapter does, past the hook."""
        return error_frame(code, message)


def _check_hook(name: str, hook: object) -> None:
    if hook is None:
        return
    if not callable(hook):
        raise TypeError(f"{name} must be a function or None, got {hook!r}")
    if iscoroutinefunction(hook):
        raise TypeError(f"{name} must be a plain function, got the async {hook!r}")


def _check_path_event(path_event: object) -> None:
    if not isinstance(path_event, str):
        raise TypeError(f"path_event must be a string, got {path_event!r}")


def _check_text(payload: str, event: str) -> str:
    # Here, where the emit that made it can be told, and not in the transport.
    try:
        payload.encode()
    except UnicodeEncodeError as error:
        raise NotEncodable(
            f"the text of event {event!r} cannot be encoded as UTF-8 ({error.reason})",
            event,
            kind="str",
        ) from error
    return payload


def _describe(made: object) -> str:
    kind = type(made).__name__
    if not isinstance(made, (tuple, list)):
        return f"an object of type {kind}"
    parts = cast("Sequence[object]", made)
    kinds = ", ".join(type(part).__name__ for part in parts[:4])
    return f"a {kind} of {len(parts)}: {kinds}"
