"""The program with a server in it: it serves, and stops in order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from ..live.client import crowd
from ..live.server import HypercornServer

pytestmark = pytest.mark.live

EXAMPLE = Path(__file__).parents[2] / "examples" / "served.py"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_clients_hear_the_time_and_that_they_may_come_back(
    backend: str, tmp_path: Path
) -> None:
    log_path = tmp_path / "log"
    options = ["--backend", backend, "--bind", "127.0.0.1:0"]
    with (
        log_path.open("wb") as log,
        subprocess.Popen(
            [sys.executable, EXAMPLE, *options], stdout=log, stderr=log
        ) as process,
    ):
        try:
            HypercornServer(process, 0, log_path).wait_accepting()
            port = re.search(r"Running on http://127.0.0.1:(\d+)", log_path.read_text())
            assert port is not None
            server = HypercornServer(process, int(port[1]), log_path)
            trio.run(listen_and_stop, server)
        finally:
            process.kill()

    assert log_path.read_text().splitlines()[1:] == [
        "gone: 1012 back in a minute",
        "stopped",
    ]


async def listen_and_stop(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        client = await clients.open()
        for _ in range(2):  # the second one comes from beside the server
            assert re.fullmatch(r"\d\d:\d\d:\d\d", await client.expect("time"))
        exit_code, _ = await trio.to_thread.run_sync(server.terminate)
        assert await client.wait_closed() == (1012, "back in a minute")
        assert exit_code == 0
