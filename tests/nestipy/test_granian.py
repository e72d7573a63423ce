"""A Nestipy app in Granian, the server that Nestipy brings along."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from ..live.client import crowd
from ..live.server import ROOT, HypercornServer

pytest.importorskip("granian")

pytestmark = [pytest.mark.live, pytest.mark.anyio]

START_SECONDS = 20.0

# As an app is run by its own main: `app.listen()`.
MAIN = """
from tests.nestipy.app import app
app.listen("tests.nestipy.app:app", host="127.0.0.1", port={port})
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop of the clients."""
    return "trio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HypercornServer]:
    """Granian, until the test ends; it has the face of the others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    log_path = tmp_path / "granian.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(port=port)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = HypercornServer(process, port, log_path)
    try:
        wait_accepting(server)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_accepting(server: HypercornServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
        except ConnectionRefusedError:
            assert server.process.poll() is None, server.log()
            assert time.monotonic() < deadline, server.log()
            time.sleep(0.05)
        else:
            return


def get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
    return text


async def test_gateways_http_and_an_orderly_end(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        ann, ben = [await clients.open() for _ in range(2)]
        for client in (ann, ben):
            await client.expect("done")
        assert await ann.ask("say", 1) == "root heard 1"
        assert await ann.expect("say") == "root heard 1"
        assert await ann.ask("say", 2, namespace="/chat") == "chat heard 2"
        assert await ann.expect("done") == "chat heard 2"
        assert await ben.expect("said") == 2

        url = f"{server.url}/push/today"
        assert await trio.to_thread.run_sync(get, url) == "pushed"
        assert await ben.expect("news") == "today"

        code, _ = await trio.to_thread.run_sync(server.terminate)
        assert code == 0
        # Granian mostly closes the sockets before it says that it stops, without a
        # close frame; all that belongs to a client is seen to nevertheless.
        assert (await ann.wait_closed())[0] in (1001, 1006)
    assert server.log().count("bye 100") == 2
