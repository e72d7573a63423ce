"""What travels between a client and us, in no particular encoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, final

Frame: TypeAlias = str | bytes
"""One WebSocket message: a text frame or a binary one."""


@final
@dataclass(frozen=True, slots=True, init=False)
class Event:
    """Something happened, or is wanted; with an *id* the other side answers.

    Attributes:
        event: The name handlers are registered under.
        data: Whatever the encoding can carry.
        namespace: Where the name is looked up.
        id: What the answer refers to; None when no answer is wanted.
        weight: Bytes of the frame it came in; 0 where it has not come.
    """

    event: str
    data: object
    namespace: str = "/"
    id: int | None = None
    weight: int = field(default=0, init=False, repr=False, compare=False)

    # The __init__ that a frozen dataclass gets assigns through
    # object.__setattr__ and takes nearly twice as long; every frame makes one.
    def __init__(
        self, event: str, data: object, namespace: str = "/", id: int | None = None
    ) -> None:
        _set_event(self, event)
        _set_data(self, data)
        _set_namespace(self, namespace)
        _set_id(self, id)
        set_weight(self, 0)


_set_event = Event.__dict__["event"].__set__
_set_data = Event.__dict__["data"].__set__
_set_namespace = Event.__dict__["namespace"].__set__
_set_id = Event.__dict__["id"].__set__
# For who reads the frame: neither the codec nor the handlers have to.
set_weight = Event.__dict__["weight"].__set__


@final
@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to the event that carried *id*."""

    id: int
    data: object


@final
@dataclass(frozen=True, slots=True)
class AckFailure:
    """The event that carried *id* could not be answered."""

    id: int
    code: str
    message: str


Packet: TypeAlias = Event | Ack | AckFailure


@final
class BadFrame(Exception):
    """A peer sent what cannot be read.

    Both texts may be shown to that peer: they say what was expected and at
    most a short excerpt of what came.

    Attributes:
        code: What was wrong, in lower_snake_case, for programs.
        message: What was wrong, for people.
        id: The id an answer can refer to, where it could still be read.
    """

    def __init__(self, code: str, message: str, id: int | None = None) -> None:
        super().__init__(code, message, id)
        self.code = code
        self.message = message
        self.id = id

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
