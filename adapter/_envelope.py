"""The JSON envelope, version 1: the wire of clients that have no library.

    client to server   {"event": "say", "data": ..., "namespace": "/chat", "id": 7}
    server to client   {"event": "said", "data": ..., "namespace": "/chat", "id": 3}
    one that is kept   {"event": "said", ..., "room": "lobby", "offset": 12}
    an ack, both ways  {"ack": 7, "data": ...}
                       {"ack": 7, "error": {"code": "...", "message": "..."}}
    an error           {"event": "error", "error": {"code": "...", "message": "..."}}

One object per text frame. Keys nobody knows are ignored, and null stands for
a key that is absent, since many clients write every field they have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard, final

from orjson import JSONDecodeError, loads

from ._checks import check_int
from ._codec import (
    MAX_JSON_DEPTH,
    check_max_bytes,
    clean,
    is_longer,
    to_json,
)
from ._packets import Ack, AckFailure, BadFrame, Event, Frame, Packet

DEFAULT_MAX_BYTES = 1_048_576
DEFAULT_MAX_DEPTH = 32

_MAX_NAME = 256
# Beyond it a JavaScript client's numbers skip some.
_MAX_ID = 2**53


@final
class JsonEnvelope:
    """The codec of the JSON envelope.

    Args:
        max_bytes: The longest frame that is read, in bytes of UTF-8.
        max_depth: How many objects and arrays may stand inside one another,
            the envelope itself counted.
    """

    __slots__ = ("_max_bytes", "_max_depth", "_surely_fits", "_surely_flat")

    def __init__(
        self,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        max_depth: int = DEFAULT_MAX_DEPTH,
    ) -> None:
        self._max_bytes = check_max_bytes(max_bytes)
        # An ack that carries an error is two deep, and whatever was read can be
        # sent on.
        self._max_depth = check_int("max_depth", max_depth, 2, MAX_JSON_DEPTH)
        # Each character is at most four bytes.
        self._surely_fits = max_bytes // 4
        # Each level of objects is at least the five characters of {"":}.
        self._surely_flat = max_depth * 5

    def decode(self, frame: Frame) -> Packet:
        """Read *frame*; of two equal keys in one object the last counts.

        Raises:
            BadFrame: It cannot be read. The code is one of ``binary``,
                ``too_large``, ``too_deep``, ``malformed``, ``not_an_object``,
                ``ambiguous``, ``bad_event``, ``bad_namespace``, ``bad_id`` and
                ``bad_ack``.
        """
        if not isinstance(frame, str):
            raise BadFrame("binary", "expected a text frame, got a binary one")
        length = len(frame)
        if length > self._surely_fits and is_longer(frame, self._max_bytes):
            raise BadFrame(
                "too_large", f"expected a frame of at most {self._max_bytes} bytes"
            )
        # Before parsing, so that depth costs nobody memory. Most frames are told
        # by their length or by the number of their brackets, in C.
        if (
            (length > self._surely_flat or "[" in frame)
            and frame.count("{") + frame.count("[") > self._max_depth
            and _is_deeper(frame, self._max_depth)
        ):
            raise BadFrame("too_deep", f"expected at most {self._max_depth} levels")
        try:
            fields: dict[str, object] = loads(frame)
        except JSONDecodeError as error:
            # It holds the whole frame: its text is enough.
            raise BadFrame("malformed", f"expected JSON: {error}") from None
        if type(fields) is not dict:
            raise BadFrame("not_an_object", f"expected an object, got {_say(fields)}")
        get = fields.get
        if "ack" in fields and fields["ack"] is not None:
            return _read_ack(fields)
        event = get("event")
        id = get("id")
        namespace = get("namespace")
        # As in _is_id, whose call would take longer than the question.
        if id is not None and (type(id) is not int or not 0 <= id <= _MAX_ID):
            raise BadFrame(
                "bad_id", f'expected "id" to be an integer 0 to 2**53, got {_say(id)}'
            )
        if (
            type(event) is not str
            or not event
            or len(event) > _MAX_NAME
            # Names that frameworks keep for themselves, Nestipy for one. Most
            # are told by one character, which takes half as long.
            or (event[0] == "_" and event.startswith("__"))
        ):
            raise BadFrame(
                "bad_event",
                f'expected "event" to be a string of 1 to {_MAX_NAME} characters that '
                f'does not begin with "__", got {_say(event)}',
                id,
            )
        if namespace is None:
            namespace = "/"
        elif (
            type(namespace) is not str
            or not namespace
            or namespace[0] != "/"
            or len(namespace) > _MAX_NAME
        ):
            raise BadFrame(
                "bad_namespace",
                f'expected "namespace" to be a string of 1 to {_MAX_NAME} characters '
                f'that begins with "/", got {_say(namespace)}',
                id,
            )
        return Event(event, get("data"), namespace, id)

    def event(self, event: str, data: object, namespace: str, id: int | None) -> str:
        """Encode an event; with an *id*, one that asks for an ack.

        Raises:
            NotEncodable: Part of *data* has no form in JSON.
        """
        if id is None:
            return to_json(
                {"event": event, "data": data, "namespace": namespace}, event
            )
        return to_json(
            {"event": event, "data": data, "namespace": namespace, "id": id}, event
        )

    def kept(
        self, event: str, data: object, namespace: str, room: str
    ) -> Callable[[int], str]:
        """Encode an event of *room* that is kept; it lacks its offset.

        Returns:
            What makes the frame for an offset.

        Raises:
            NotEncodable: Part of *data*, or *room*, has no form in JSON.
        """
        fields = {"event": event, "data": data, "namespace": namespace, "room": room}
        begun = to_json(fields, event)[:-1]
        return lambda offset: f'{begun},"offset":{offset}}}'

    def read_kept(self, frame: Frame) -> tuple[str, object]:
        """Event and data of a frame that `kept` has made, however large it is."""
        fields = loads(frame)
        return fields["event"], fields["data"]

    def ack(self, id: int, data: object) -> str:
        """Encode the answer to the event that carried *id*.

        Raises:
            NotEncodable: Part of *data* has no form in JSON.
        """
        return to_json({"ack": id, "data": data}, ack=id)

    def ack_failure(self, id: int, code: str, message: str) -> str:
        """Encode that the event that carried *id* has no answer."""
        return to_json(
            {"ack": id, "error": {"code": clean(code), "message": clean(message)}}
        )

    def error(self, code: str, message: str) -> str:
        """Encode an error that answers no event in particular."""
        return error_frame(code, message)


def error_frame(code: str, message: str) -> str:
    """Encode an error as Nestipy's own adapter does, which is also our form."""
    return to_json(
        {"event": "error", "error": {"code": clean(code), "message": clean(message)}}
    )


def _read_ack(fields: dict[str, object]) -> Ack | AckFailure:
    ack = fields["ack"]
    event = fields.get("event")
    if event is not None:
        id = fields.get("id")
        raise BadFrame(
            "ambiguous",
            'expected "event" or "ack", got both',
            id if _is_id(id) else None,
        )
    if not _is_id(ack):
        raise BadFrame(
            "bad_ack", f'expected "ack" to be an integer 0 to 2**53, got {_say(ack)}'
        )
    match fields.get("error"):
        case None:
            return Ack(ack, fields.get("data"))
        case {"code": str() as code, "message": str() as message}:
            return AckFailure(ack, code, message)
        case error:
            raise BadFrame(
                "bad_ack",
                'expected "error" to be an object with the strings "code" and '
                f'"message", got {_say(error)}',
            )


def _is_id(value: object) -> TypeGuard[int]:
    # The type itself, for a bool is an int.
    return type(value) is int and 0 <= value <= _MAX_ID


_SQUARED = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _is_deeper(text: str, limit: int) -> bool:
    """Tell whether *text*, if it is JSON, nests more than *limit* levels.

    Of text that is not JSON it tells nothing: the parser refuses that. Each
    step is one pass in C, so that a frame made to be slow takes no longer
    than one of its size that is all right and has to be parsed.
    """
    # JSON has backslashes in strings only. Without the escaped ones and the
    # escaped quotes, every quote left opens or closes a string, and what is
    # outside of strings is every second piece.
    unescaped = text.replace("\\\\", "").replace('\\"', "")
    outside = "".join(unescaped.split('"')[::2])
    brackets = outside.encode("ascii", "ignore").translate(_SQUARED, _NO_BRACKETS)
    # So many in a row are enough of an answer, and found at once.
    descent = b"[" * (limit + 1)
    # Each pass takes away the innermost level wherever there is one.
    for _ in range(limit):
        if descent in brackets:
            return True
        shorter = brackets.replace(b"[]", b"")
        if shorter == brackets:
            return False
        brackets = shorter
    return b"[]" in brackets


def _say(value: object) -> str:
    """Describe what came, in a few words that are safe to show and to log."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            excerpt = ascii(value[:32])
            return excerpt if len(value) <= 32 else f"{len(value)} of {excerpt}..."
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return f"{value!r:.32}"
