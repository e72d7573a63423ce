"""Letters: what is kept of messages that were never handled.

Clients make them, of any size, by leaving: what waits in their inbox then, and what
is being handled, is not kept beyond a bound.
"""

from __future__ import annotations

from ._ear import Answered
from ._outgoing import Outgoing
from ._packets import Event

MAX_LETTERS_BYTES = 262_144
"""What all of them that are kept may weigh, as they were on the wire."""


def weight_of(message: object) -> int:
    """Bytes of a message of a client, or to one; 0 of what actors tell each other."""
    if isinstance(message, (Event, Answered, Outgoing)):
        return message.weight
    if isinstance(message, (str, bytes)):
        return len(message)
    # What the registry was asked to tell, or to deliver.
    told: object = getattr(message, "message", None)
    return 0 if told is None else weight_of(told)
