"""The program of the docs that runs hypercorn itself and drains at SIGTERM."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed, open_websocket_url

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
def test_a_drain_before_the_end_tells_clients_to_come_back(
    backend: str, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "program.py").write_text(program(backend, port), "utf-8")
    with subprocess.Popen(
        [sys.executable, tmp_path / "program.py"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert any("Running on" in line for line in process.stderr)
            code, reason = trio.run(wait_for_the_goodbye, process, port)
            assert process.wait(10) == 0
        finally:
            process.kill()

    assert (code, reason) == (1012, "restarting")


async def wait_for_the_goodbye(
    process: subprocess.Popen[str], port: int
) -> tuple[int, str | None]:
    with trio.fail_after(20):
        async with open_websocket_url(f"ws://127.0.0.1:{port}/ws") as websocket:
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                await websocket.get_message()
            ended = closed.value.reason
            assert ended is not None
            return ended.code, ended.reason
