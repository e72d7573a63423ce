"""WebSocket frames (RFC 6455), as a test reads them by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


async def read_frame(read: Callable[[int], Awaitable[bytes]]) -> tuple[int, bytes]:
    """The next frame from a server: its first byte, and its payload as it came.

    Args:
        read: Gives exactly so many bytes.
    """
    first, size = await read(2)
    if size == 126:
        size = int.from_bytes(await read(2), "big")
    elif size == 127:
        size = int.from_bytes(await read(8), "big")
    return first, await read(size)
