"""The program of the docs that runs hypercorn itself and drains at SIGTERM."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trio

from ..live.client import crowd
from ..live.server import HypercornServer
from .test_docs import SECTIONS

pytestmark = pytest.mark.live


def program(backend: str, port: int) -> str:
    (section,) = [each for each in SECTIONS if each.has_its_own_server]
    (text,) = [each.text for each in section.blocks if each.language == "python"]
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("trio", backend)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_no_http_and_tells_clients_to_come_back(
    backend: str, tmp_path: Path
) -> None:
    port, log_path = free_port(), tmp_path / "log"
    file = tmp_path / "program.py"
    file.write_text(program(backend, port), encoding="utf-8")
    with (
        log_path.open("wb") as log,
        subprocess.Popen([sys.executable, file], stderr=log) as process,
    ):
        try:
            server = HypercornServer(process, port, log_path)
            server.wait_accepting()
            trio.run(stop_with_a_client_connected, server)
        finally:
            process.kill()


def http_status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


async def stop_with_a_client_connected(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        client = await clients.open()
        assert await trio.to_thread.run_sync(http_status, server.url) == 500
        exit_code, _ = await trio.to_thread.run_sync(server.terminate)
        code, reason = await client.wait_closed()
        assert code == 1012
        assert reason.startswith("going away; retry-after=")
        assert exit_code == 0
