"""The service without sockets: healed while it runs, stopped in order."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "embedded.py"

SENSORS = ["cellar", "hall", "roof"]
ORDERED_STOP = [
    "stopping",
    "roof: ended, Shutdown(info=None)",
    "hall: ended, Shutdown(info=None)",
    "cellar: ended, Shutdown(info=None)",
    "written: N lines",
    "writer: ended, Shutdown(info=None)",
    "stopped",
]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def service(*options: str) -> Generator[subprocess.Popen[str]]:
    """The example as a process; killed, which ends its output, if it takes too long."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLE), *options],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        watchdog = threading.Timer(30.0, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def read_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """The lines up to the one that begins with *wanted*."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(wanted):
            return lines
    raise AssertionError(f"it ended before it said {wanted!r}:\n" + "\n".join(lines))


def read_rest(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.read().splitlines()


def without_writing(lines: list[str]) -> list[str]:
    """What was said beside the readings, numbers of lines left out."""
    others = [line for line in lines if not re.match(r"writer: \w+ [\d.]+, ", line)]
    return [re.sub(r"^written: \d+", "written: N", line) for line in others]


def test_a_crash_is_healed_and_the_stop_is_in_order(backend: str) -> None:
    with service("--backend", backend) as process:
        before = read_until(process, "roof: polling, start 2")
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        after = read_rest(process)
        code = process.wait()
        seconds = time.monotonic() - began

    assert without_writing(before) == [
        "cellar: polling, start 1",
        "hall: polling, start 1",
        "roof: polling, start 1",
        "roof: ended, Crashed(error=ConnectionError('the line is dead'))",
        "roof: polling, start 2",
    ]
    assert without_writing(after) == ORDERED_STOP
    assert code == 0
    assert seconds < 10

    # What was accepted has been written, also what waited when the stop came.
    lines = before + after
    written = next(line for line in after if line.startswith("written: "))
    readings = len(lines) - len(without_writing(lines))
    assert written == f"written: {readings} lines"


def test_ctrl_c_stops_it_too(backend: str) -> None:
    with service("--backend", backend) as process:
        read_until(process, "writer: ")
        process.send_signal(signal.SIGINT)
        after = read_rest(process)
        code = process.wait()

    assert without_writing(after)[-len(ORDERED_STOP) :] == ORDERED_STOP
    assert code == 0


def test_it_stops_by_itself_when_told_how_long_to_run(backend: str) -> None:
    with service("--backend", backend, "--seconds", "0.1") as process:
        lines = read_rest(process)
        code = process.wait()

    assert without_writing(lines)[-len(ORDERED_STOP) :] == ORDERED_STOP
    assert code == 0


def test_pollers_are_found_by_the_group_they_have_joined(backend: str) -> None:
    with service("--backend", backend) as process:
        read_until(process, "writer: ")
        process.send_signal(signal.SIGUSR1)
        said = [read_until(process, f"polls of {name}: ")[-1] for name in SENSORS]

    assert all(re.fullmatch(r"polls of \w+: \d+", line) for line in said)
