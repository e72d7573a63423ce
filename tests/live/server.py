"""A real hypercorn process on a free port, for the live tests."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

ROOT = Path(__file__).parents[2]

START_SECONDS = 20.0
POLL_SECONDS = 0.02

SIGNS_OF_TROUBLE = (
    "Traceback",
    "Exception ignored",
    "Task was destroyed",
    "never retrieved",
    "never awaited",
)
# On Python before 3.12, for every connection that its asyncio worker cancels.
HYPERCORNS_OWN = re.compile(
    r"^Exception in callback StreamReaderProtocol\.connection_made"
    r".*?^asyncio\.exceptions\.CancelledError$",
    re.DOTALL | re.MULTILINE,
)

RUNNING = "Running on "  # what hypercorn says when it is, at its default log level


def unhurried(seconds: float) -> float:
    """*seconds*, or more while the machine is busy with other things too."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@final
@dataclass(frozen=True, slots=True)
class HypercornServer:
    """A running hypercorn, its parent process leading a process group."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: Path
    tasks: int = 0
    """How many it had with one client; 0 if nobody has looked."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it has written to stdout and stderr so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def check_log(self, since: int = 0) -> None:
        """Raise if it tells of an error that hypercorn does not make by itself.

        *since* is the length of the log before what is looked at.
        """
        ours = HYPERCORNS_OWN.sub("", self.log()[since:])
        for sign in SIGNS_OF_TROUBLE:
            assert sign not in ours, self.log()

    def terminate(self, *, deadline_seconds: float = 15.0) -> tuple[int, float]:
        """Send SIGTERM and wait for the end; its exit code, and the seconds it took.

        Raises:
            AssertionError: It was still there at the deadline.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"hypercorn did not exit within {deadline_seconds} s of SIGTERM:\n"
                f"{self.log()}"
            ) from None
        return code, time.monotonic() - began

    def wait_accepting(self, *, deadline_seconds: float = START_SECONDS) -> None:
        """Return once its lifespan startup is done and it accepts connections."""
        deadline = time.monotonic() + deadline_seconds
        # An accepted connection would not tell: the trio worker listens before
        # it imports the app.
        while RUNNING not in self.log():
            # Nor would the exit code: it is 0 after a failed startup too.
            if self.process.poll() is not None:
                raise AssertionError(f"hypercorn ended at its start:\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"hypercorn did not start within {deadline_seconds} s:\n"
                    f"{self.log()}"
                )
            time.sleep(POLL_SECONDS)


@contextmanager
def hypercorn_server(
    target: str,
    worker: str,
    *,
    cwd: Path = ROOT,
    port: int = 0,
    extra_args: Sequence[str] = (),
    socket_buffer: int | None = None,
) -> Generator[HypercornServer]:
    """Serve *target* with ``--worker-class`` *worker* until the block ends.

    *port* 0 takes a free one; the port of a server that has ended starts
    another in its place. *socket_buffer* is the size in bytes of what the kernel
    keeps for each connection, each way, instead of megabytes. The end is a
    SIGKILL to the whole process group: a test that wants an orderly one calls
    ``terminate`` first.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-live-") as folder:
        log_path = Path(folder, "hypercorn.log")
        # Bound here and handed over, so that nobody can take the port meanwhile;
        # not listening yet, so that connections are refused and not left waiting.
        with socket.socket() as listener, log_path.open("wb") as log:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if socket_buffer is not None:
                # Accepted sockets have it from their listener.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, socket_buffer)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, socket_buffer)
            listener.bind(("127.0.0.1", port))
            command = [sys.executable, "-m", "hypercorn", "--worker-class", worker]
            command += ["--bind", f"fd://{listener.fileno()}", *extra_args, target]
            process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
            server = HypercornServer(process, listener.getsockname()[1], log_path)
        try:
            server.wait_accepting()
            yield server
        except BaseException:
            # What a test sees of it is seldom why: pytest shows this, too.
            print(server.log()[-5000:])
            raise
        finally:
            # The group, not the parent: a worker outlives a killed parent.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
