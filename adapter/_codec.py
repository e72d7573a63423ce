"""Codec: bytes to packets and back; and the JSON every codec of ours writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, cast, final

from orjson import OPT_NON_STR_KEYS, dumps

from ._checks import check_int
from ._packets import Frame, Packet

MAX_JSON_DEPTH = 254
"""How many objects and arrays inside one another orjson writes."""


class Codec(Protocol):
    """What a connection asks of an encoding.

    Pure: no I/O and no state that one frame could leave behind for another,
    so that a single codec serves every connection of an adapter.
    """

    def decode(self, frame: Frame) -> Packet:
        """Read *frame*.

        Raises:
            BadFrame: It cannot be read; nothing else is raised, whatever came.
        """
        ...

    def event(self, event: str, data: object, namespace: str, id: int | None) -> Frame:
        """Encode an event; with an *id*, one that asks for an ack.

        Raises:
            NotEncodable: The encoding has no form for *data*.
        """
        ...

    def kept(
        self, event: str, data: object, namespace: str, room: str
    ) -> Callable[[int], Frame]:
        """Encode an event of *room* that is kept; it lacks its offset.

        Returns:
            What makes the frame for an offset; cheap, and raises nothing.

        Raises:
            NotEncodable: The encoding has no form for *data*, or for offsets.
        """
        ...

    def read_kept(self, frame: Frame) -> tuple[str, object]:
        """Event and data of a frame that `kept` has made, however large it is."""
        ...

    def ack(self, id: int, data: object) -> Frame:
        """Encode the answer to the event that carried *id*.

        Raises:
            NotEncodable: The encoding has no form for *data*, or for acks.
        """
        ...

    def ack_failure(self, id: int, code: str, message: str) -> Frame:
        """Encode that the event that carried *id* has no answer.

        Raises:
            NotEncodable: The encoding has no form for acks.
        """
        ...

    def error(self, code: str, message: str) -> Frame:
        """Encode an error that answers no event in particular."""
        ...


@final
class NotEncodable(TypeError):
    """What the application wanted to send has no form in the encoding.

    Attributes:
        event: The event it was for; None where it was for an ack.
        path: Where in the frame the offending value stands, if it was found and
            is not the whole of it.
        kind: The name of that value's type, if it was found.
    """

    def __init__(
        self,
        message: str,
        event: str | None = None,
        path: str | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(message, event, path, kind)
        self.message = message
        self.event = event
        self.path = path
        self.kind = kind

    def __str__(self) -> str:
        return self.message


def to_json(value: object, event: str | None = None, ack: int | None = None) -> str:
    """Encode *value* as JSON text; *event* or *ack* is what a refusal names.

    Beyond what orjson knows (dataclasses, datetimes, UUIDs, enums) it takes
    whatever has ``model_dump``, and keys that are not strings where their
    text is plain: numbers, booleans, None, dates, UUIDs. NaN and the
    infinities become null, as in JavaScript.

    Raises:
        NotEncodable: Part of *value* has no form in JSON.
    """
    try:
        return dumps(value, _dump_model).decode()
    except TypeError:
        pass
    # Only now the option for other keys: it costs frames that do not need it
    # half as much again.
    try:
        return dumps(value, _dump_model, OPT_NON_STR_KEYS).decode()
    except TypeError as error:
        subject = f"the ack {ack}" if event is None else f"event {event!r}"
        raise _refusal(value, subject, event, str(error)) from error


def clean(text: str) -> str:
    """Return *text* with its lone surrogates, which UTF-8 lacks, escaped.

    The texts of exceptions can hold some, from file names for example, and
    an error must not fail to be told for that.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check_max_bytes(max_bytes: int) -> int:
    """Return *max_bytes* if it can bound a frame, else raise."""
    return check_int("max_bytes", max_bytes, 1)


def is_longer(frame: Frame, max_bytes: int) -> bool:
    """Tell whether *frame* takes more than *max_bytes* on the wire."""
    length = len(frame)
    # A character takes one byte to four, so most texts need not be encoded
    # to be judged.
    if length > max_bytes:
        return True
    if length * 4 <= max_bytes or isinstance(frame, bytes) or frame.isascii():
        return False
    return len(frame.encode("utf-8", "surrogatepass")) > max_bytes


def _dump_model(value: object) -> object:
    # Looked up on the type: a model's class has the method too, but is no model.
    dump = getattr(type(value), "model_dump", None)
    if dump is None:
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    return dump(value, mode="json")


# A refusal is explained by looking at one value after the other; so many at
# most, since all that is lost beyond them is where the culprit stands.
_MAX_LOOKS = 10_000


def _refusal(
    value: object, subject: str, event: str | None, reason: str
) -> NotEncodable:
    """Explain why *value* was refused, for *reason* according to orjson."""
    message = f"{subject} cannot be encoded as JSON"
    found = _find_culprit(value)
    if found is None:
        return NotEncodable(f"{message} ({reason})", event)
    path, culprit, reason = found
    kind = type(culprit).__name__
    where = f": {path}" if path else ": it"
    return NotEncodable(
        f"{message}{where} is of type {kind} ({reason})", event, path or None, kind
    )


def _find_culprit(root: object) -> tuple[str, object, str] | None:
    """Find the first value within *root* that orjson refuses by itself.

    None means that the values are sound but too deeply nested, or refer to
    themselves, or are too many to look at.
    """
    levels: list[Iterator[tuple[str, object, object]]] = [iter([("", "", root)])]
    # Containers are looked at once: values that refer to themselves would
    # otherwise multiply.
    seen: set[int] = set()
    for _ in range(_MAX_LOOKS):
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            if not levels:
                return None
            continue
        path, key, value = entry
        if _problem({key: None}) is not None:
            return f"the key of {path}", key, "a key JSON has no text for"
        # What orjson walks into; other types are judged whole.
        if isinstance(value, (dict, list)) or type(value) is tuple:
            container = cast("dict[object, object] | list[object]", value)
            if id(container) not in seen and len(levels) <= MAX_JSON_DEPTH:
                seen.add(id(container))
                levels.append(_entries(path, container))
            continue
        problem = _problem(value)
        if problem is not None:
            return path, value, problem
    return None


def _entries(
    path: str, container: dict[object, object] | list[object]
) -> Iterator[tuple[str, object, object]]:
    """Yield path, key and value of what is in *container*."""
    if isinstance(container, dict):
        for key, value in container.items():
            if isinstance(key, str) and key.isidentifier():
                yield f"{path}.{key}" if path else key, key, value
            else:
                yield f"{path}[{key!r:.32}]", key, value
    else:
        for at, value in enumerate(container):
            yield f"{path}[{at}]", "", value


def _problem(value: object) -> str | None:
    try:
        dumps(value, _dump_model, OPT_NON_STR_KEYS)
    except TypeError as error:
        return str(error)
    return None
