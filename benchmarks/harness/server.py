"""A server under test: a real process, alone on its core."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .dialect import Dialect
from .machine import NODE_APPS, pinned, tree_cpu, tree_memory

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 10.0
_LOG_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Subject:
    """One server to measure: how it is started and how it is spoken to.

    ``{fd}`` in *command* becomes the number of the listening socket.
    """

    name: str
    command: tuple[str, ...]
    dialect: Dialect
    #: The subject whose figures this one's are divided by.
    base: str
    #: What it needs beside this project: modules, or a package of `NODE_APPS`.
    needs: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether it is what the others are there for."""
        return self.name.startswith("greenroom")

    def missing(self) -> str | None:
        """Say what it needs that is not installed; None if all is there."""
        for need in self.needs:
            if need.startswith("npm:"):
                if shutil.which("node") is None:
                    return "node is not on the path"
                if not (NODE_APPS / "node_modules" / need[4:]).is_dir():
                    return "npm ci --prefix benchmarks/apps/node has not been run"
            elif find_spec(need) is None:
                return f"the module {need} is not installed"
        return None


def hypercorn(worker: str, app: str) -> tuple[str, ...]:
    """The command that serves *app*: stock hypercorn, nothing set but the worker."""
    return (
        *(sys.executable, "-m", "hypercorn"),
        *("--worker-class", worker, "--bind", "fd://{fd}"),
        f"benchmarks.apps.{app}",
    )


def uvicorn(app: str) -> tuple[str, ...]:
    """The command that serves *app*: stock uvicorn, but silent.

    By itself it takes uvloop and websockets, where they are installed.
    """
    return (
        *(sys.executable, "-m", "uvicorn"),
        *("--fd", "{fd}", "--log-level", "warning"),
        f"benchmarks.apps.{app}",
    )


def node(program: str) -> tuple[str, ...]:
    """The command that runs *program* of `NODE_APPS`."""
    return ("node", str(NODE_APPS / program), "{fd}")


class ServerFailed(Exception):
    """The server ended by itself; the text is what it had written."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    subject: Subject
    core: int
    port: int
    _process: subprocess.Popen[bytes]
    _log: Path

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    def memory(self) -> int:
        """What the server's processes hold now, in kB."""
        return tree_memory(self._process.pid)

    def cpu_seconds(self) -> float:
        """Processor time used by the server's processes up to now."""
        return tree_cpu(self._process.pid)

    def check(self) -> None:
        """See that the server has neither ended nor complained.

        A server that logs a traceback still serves, but what: its figures would
        be those of another program.

        Raises:
            ServerFailed: It has.
        """
        log = self._log.read_text(errors="replace")
        if self._process.poll() is not None or "Traceback" in log:
            # The first error is the one to read; a thousand clients repeat it.
            raise ServerFailed(f"{self.subject.name} failed:\n{log[:_LOG_CHARS]}")


@contextmanager
def running(
    subject: Subject, core: int, *, kill: bool = False
) -> Generator[Server, None, None]:
    """Start *subject* on *core*; stop it on the way out, by force if it must be.

    With *kill* by force at once: a server that cannot see its clients off, or has
    too many of them, is not waited for.

    The listening socket is made here and handed down, so the port is free for
    certain and clients may connect at once: they wait in its backlog.
    """
    with (
        socket.create_server(("127.0.0.1", 0), backlog=4096) as listener,
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
    ):
        # Accepted sockets inherit it.  Servers set it on sockets of their own
        # making, and not all of them on one that is handed to them.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = listener.fileno()
        log = Path(folder) / "log"
        with log.open("wb") as output, pinned(core):
            process = subprocess.Popen(
                [part.format(fd=fd) for part in subject.command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(fd,),
                start_new_session=True,
            )
        port: int = listener.getsockname()[1]
        server = Server(subject, core, port, process, log)
        try:
            yield server
            server.check()
        except TimeoutError:
            server.check()
            raise
        finally:
            _stop(process, 0.0 if kill else _STOP_SECONDS)


def _stop(process: subprocess.Popen[bytes], patience: float) -> None:
    if patience:
        process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        # The session is its own group: this ends its worker processes too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
