"""What clients may send; what is anything else is answered ``invalid_data``."""

from typing import Annotated

from pydantic import BaseModel, StringConstraints

Room = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,23}$")]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
]


class Place(BaseModel):
    """Where a client wants to be."""

    room: Room


class Line(BaseModel):
    """What it says there."""

    room: Room
    text: Text


class News(BaseModel):
    """What the rest of the world has to say, by HTTP."""

    text: Text
