"""``python -m greenroom serve``: a real process, told to stop by real signals."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import trio

from .client import crowd
from .server import ROOT, HypercornServer, unhurried

pytestmark = [pytest.mark.live, pytest.mark.anyio]

APP = "tests.live.apps.served:app"
GRACE = 0.3
SMALL = 8192  # of a socket's buffer: with the kernel's megabytes it takes long


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "greenroom", "serve", APP, *options]


@contextmanager
def served(
    worker: str, folder: Path, grace: float = GRACE
) -> Generator[HypercornServer]:
    """The app, served by the command until the block ends."""
    settings = folder / "hypercorn.toml"
    settings.write_text(f"graceful_timeout = {grace}\n", encoding="utf-8")
    log_path = folder / "log"
    with socket.socket() as listener, log_path.open("wb") as log:
        # Accepted sockets have it from their listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        bind = f"fd://{listener.fileno()}"
        process = subprocess.Popen(
            command("--worker", worker, "--bind", bind, "--config", str(settings)),
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
        )
        port: int = listener.getsockname()[1]
    server = HypercornServer(process, port, log_path)
    try:
        server.wait_accepting()
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["asyncio", "trio", "uvloop"])
def any_worker(request: pytest.FixtureRequest) -> str:
    """Every event loop that the command offers."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


async def test_everybody_is_seen_off_whoever_does_not_read(
    any_worker: str, tmp_path: Path
) -> None:
    with served(any_worker, tmp_path) as server:
        async with crowd(server) as clients:
            healthy = [await clients.welcome(path) for path in ("/ws", "/plain")]
            stalled = [
                await clients.welcome(path, socket_buffer=SMALL)
                for path in ("/ws", "/plain")
            ]
            for peer in stalled:
                await peer.emit("stream", SMALL)
                await peer.expect("chunk")
            waiting = await trio.open_tcp_stream("127.0.0.1", server.port)
            async with waiting:
                await waiting.send_all(b"GET /?3600 HTTP/1.1\r\nHost: it\r\n\r\n")
                code, seconds = await trio.to_thread.run_sync(server.terminate)
            told = [await peer.wait_closed() for peer in healthy]

        assert told == [(1001, "going away")] * 2
        assert code == 0
        # The drain's, then hypercorn's, then twice a second of patience with it.
        assert seconds < unhurried(5 + GRACE + 2)
        gone = re.findall(r"^gone (\S+) 1001 going away$", server.log(), re.MULTILINE)
        assert sorted(gone) == sorted(peer.sid for peer in healthy + stalled)
        assert "lifespan over\n" in server.log()
        if any_worker != "uvloop":  # it has its own words for what asyncio says
            server.check_log()


async def test_while_it_drains_it_answers_and_a_second_signal_ends_it(
    worker: str, tmp_path: Path
) -> None:
    # Whatever comes in time is not hypercorn's doing.
    with served(worker, tmp_path, grace=3600) as server:
        async with crowd(server) as clients:
            client = await clients.welcome("/plain")
            await client.emit("linger")
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert await client.wait_closed() == (1001, "going away")
            assert await trio.to_thread.run_sync(answer, server.port) == b"done"

            def insist() -> int:
                while server.process.poll() is None:
                    server.process.send_signal(signal.SIGTERM)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        server.process.wait(0.05)
                return server.process.wait()

            assert await trio.to_thread.run_sync(insist) == -signal.SIGTERM
            assert time.monotonic() - began < unhurried(3)


def answer(port: int) -> bytes:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
        client.request("GET", "/")
        with client.getresponse() as response:
            return response.read()


def test_a_free_port_is_told_and_ctrl_c_stops_it(worker: str) -> None:
    with subprocess.Popen(
        command("--worker", worker, "--port", "0"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            told = re.fullmatch(
                r"Serving on http://127\.0\.0\.1:(\d+); "
                r"to drain: <ActorAdapter /ws>, <ActorAdapter /plain>\n",
                process.stdout.readline(),
            )
            assert told is not None
            assert answer(int(told[1])) == b"done"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()

    assert process.returncode == 0
    assert out == "lifespan over\n"
    assert len(err.splitlines()) == 1, err  # hypercorn's "Running on"


def test_a_port_that_is_taken_is_one_line_and_an_exit_code() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        run = subprocess.run(
            command("--bind", bind),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    assert run.returncode == 1
    assert run.stdout == ""
    why = os.strerror(98) if sys.platform == "linux" else "Address already in use"
    assert run.stderr == f"greenroom: cannot listen at {bind}: {why}\n"
