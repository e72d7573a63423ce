"""Handshakes: how many clients a second can come, be let in, and vanish."""

from __future__ import annotations

import asyncio
import base64
import os

from ..apps.greenroom_limits import ORIGIN, TOKEN
from ..harness.load import Rate, timed
from ..harness.server import Server

_AT_ONCE = 20
_WARM_UP = 100
_ANSWER_SECONDS = 10.0


def _request(port: int) -> bytes:
    """What a browser says; both subjects are told the same."""
    lines = [
        "GET /ws HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Origin: {ORIGIN}",
        f"Authorization: Bearer {TOKEN}",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def _shake(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(_ANSWER_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head[:200].decode("latin-1")
    finally:
        writer.transport.abort()


async def measure(server: Server, seconds: float) -> Rate:
    """Shake hands for *seconds*, some at a time; return how many a second.

    Raises:
        AssertionError: The server refused.
        TimeoutError: It did not answer.
    """
    request = _request(server.port)
    for _ in range(_WARM_UP):
        await _shake(server.port, request)
    done = 0
    loop = asyncio.get_running_loop()

    async def shake_until(end: float) -> None:
        nonlocal done
        while loop.time() < end:
            await _shake(server.port, request)
            done += 1

    with timed(server) as effort:
        end = loop.time() + seconds
        await asyncio.gather(*(shake_until(end) for _ in range(_AT_ONCE)))
    return Rate(done / effort.seconds, effort)
