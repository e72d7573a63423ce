"""Count the instructions that a delivery and an echo take.

``python -m benchmarks.instructions``, from the root of the repository; needs
valgrind.  What a processor is told to do no neighbour can change, so a change of a
few per cent shows here that no clock would show.  Only what the server's process
does is counted: neither the kernel nor waiting for memory.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import uvloop

from .harness.dialect import PAYLOAD
from .harness.load import Client, close, connect
from .harness.machine import choose_cores, described, pinned
from .harness.server import Server, Subject, running
from .measures.fanout import BATCH, Room
from .subjects import ASYNCIO, SUBJECTS, TRIO

_MEMBERS = 200
_PLAYERS = 50
_TIMES = 2
#: A server in valgrind is some fifty times slower.
_START_SECONDS = 60.0

_COMPARED = tuple(
    (name, base)
    for worker, base in (("asyncio", ASYNCIO), ("trio", TRIO))
    for name in (base, f"greenroom, {worker}", f"greenroom, {worker}, plain ASGI")
)
_VALGRIND = (
    *("valgrind", "--tool=callgrind", "--instr-atstart=no"),
    *("--callgrind-out-file=/dev/null", "--log-file=/dev/null"),
)


def _observed(subject: Subject) -> Subject:
    """*subject* in valgrind, in one process: the one that is observed."""
    return replace(subject, command=(*_VALGRIND, *subject.command, "--workers", "0"))


def _control(server: Server, *options: str) -> str:
    command = ("callgrind_control", *options, str(server.pid))
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _count(server: Server) -> int:
    """Instructions up to now, of all threads."""
    threads = re.findall(r"Th +\d+ +([\d,]+)", _control(server, "-e"))
    assert threads, "callgrind_control has counted nothing"
    return sum(int(thread.replace(",", "")) for thread in threads)


async def _fan_out(server: Server, batch: int) -> float:
    """Instructions of one delivery, *batch* broadcasts at a time."""
    room = Room(server, batch)
    await room.fill(_MEMBERS)
    await room.open()
    await room.measure(0)
    before, delivered = _count(server), room.delivered
    for _ in range(_TIMES):
        await room.measure(0)
    each = (_count(server) - before) / (room.delivered - delivered)
    await room.leave()
    return each


async def _echo(server: Server) -> float:
    """Instructions of one echo, all players at once."""
    players = await connect(server, Client, _PLAYERS)
    ball = players[0].client.say("echo", PAYLOAD)

    async def play() -> None:
        await asyncio.gather(*(player.client.ask(ball) for player in players))

    await play()
    before = _count(server)
    for _ in range(_TIMES):
        await play()
    each = (_count(server) - before) / (_TIMES * _PLAYERS)
    await close(players)
    return each


async def _measure(subject: Subject, core: int) -> tuple[float, ...]:
    with running(_observed(subject), core, kill=True) as server:
        async with asyncio.timeout(_START_SECONDS):
            await close(await connect(server, Client, 1))
        _control(server, "-i", "on")
        several, single = await _fan_out(server, BATCH), await _fan_out(server, 1)
        return several, single, await _echo(server)


def main() -> None:
    """Print a row for each server, and beside each figure its base's share of it."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed")
    cores = choose_cores()
    subjects = {subject.name: subject for subject in SUBJECTS}
    print(f"{'instructions of one':32}{'delivery':>18}{'alone':>18}{'echo':>18}")
    rows: dict[str, tuple[float, ...]] = {}
    for name, base in _COMPARED:
        with pinned(cores.load):
            rows[name] = uvloop.run(_measure(subjects[name], cores.server))
        pairs = zip(rows[name], rows[base], strict=True)
        cells = (f"{value:10,.0f}  {of / value:5.2f}x" for value, of in pairs)
        print(f"  {name:30}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    print(described())


if __name__ == "__main__":
    main()
