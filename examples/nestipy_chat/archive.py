"""What was said long ago: a provider that is slow, and has a lot to give."""

# Nestipy's decorators say nothing of what they return.
# mypy: disable-error-code="untyped-decorator"
# pyright: basic

from collections.abc import AsyncIterator

import anyio.lowlevel
from nestipy.common import Injectable

LINES = 20_000


@Injectable()
class Archive:
    """Stands for a database, and one of its cursors."""

    async def lines(self, room: str) -> AsyncIterator[str]:
        """All that was ever said in *room*, oldest first, one line at a time."""
        for number in range(LINES):
            if number % 100 == 0:
                # AnyIO, and not asyncio: it is the same on both workers.
                await anyio.lowlevel.checkpoint()
            yield f"line {number} of {room}, which goes on for quite a while"
