"""A handler that streams more than fits anywhere, to one that reads slowly."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from .apps.pressure import OUTBOX
from .client import crowd
from .server import HypercornServer, hypercorn_server

pytestmark = [pytest.mark.live, pytest.mark.anyio]

PAD = 100_000
MEGABYTES = 100


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    target = "tests.live.apps.pressure:app"
    with hypercorn_server(target, worker, socket_buffer=65_536) as server:
        yield server
        server.check_log()


async def test_what_is_streamed_is_never_in_memory_but_for_the_outbox(
    server: HypercornServer,
) -> None:
    count = MEGABYTES * 1_000_000 // PAD
    before = 0
    async with crowd(server) as clients:
        witness = await clients.welcome()
        reader = await clients.welcome(socket_buffer=65_536)
        await reader.emit("stream", {"count": count, "pad": PAD})
        for number in range(count):
            assert (await reader.expect("chunk"))[0] == number
            if number == 3 * OUTBOX:
                # All that ever waits has waited by now.
                before = await witness.ask("peak memory")
            if number % 100 == 0:
                # It is the reader that is waited for.
                produced = await witness.ask("produced", reader.sid)
                assert produced <= number + 2 * OUTBOX
        growth = await witness.ask("peak memory") - before
        # In kilobytes; macOS has bytes.
        assert growth < 4096 * (1024 if sys.platform == "darwin" else 1)
