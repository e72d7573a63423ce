"""What a test under fault sees of its server, from inside and from outside."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import pytest

from .crowd import WAIT_SECONDS, Crowd, crowd
from .server import HYPERCORNS_OWN, SIGNS_OF_TROUBLE, HypercornServer

APP = "tests.live.apps.faults:app"

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="/proc tells what became of a connection"
)

# What the app raises of its own accord is logged, as it should be.
ON_PURPOSE = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ ].*\n)*?[ ]*\S*OnPurpose: .*$",
    re.MULTILINE,
)

# What the kernel keeps for each connection, each way: with its usual megabytes it
# would take long until anybody is stalled.
SMALL_BUFFER = 8192

SAID = re.compile(r"^(hello|gone) (\S+) ?(.*)$", re.MULTILINE)

LISTEN, TIME_WAIT = "0A", "06"  # in the kernel's table


def goodbyes(server: HypercornServer) -> dict[str, list[str]]:
    """Whom on_connect was called for; for each, what each on_disconnect was told."""
    told: dict[str, list[str]] = {}
    for word, sid, how in SAID.findall(server.log()):
        assert (word == "hello") == (sid not in told), f"{word} {sid} {how}"
        told.setdefault(sid, []).extend([how] if word == "gone" else [])
    return told


def once(told: dict[str, list[str]]) -> dict[str, str]:
    """What on_disconnect was told of each; raise if it was not called once."""
    assert {sid: hows for sid, hows in told.items() if len(hows) != 1} == {}
    return {sid: hows[0] for sid, hows in told.items()}


def check_log(server: HypercornServer) -> None:
    """Raise if the log tells of an error other than those that were wanted."""
    ours = ON_PURPOSE.sub("", HYPERCORNS_OWN.sub("", server.log()))
    for sign in SIGNS_OF_TROUBLE:
        assert sign not in ours, ours[ours.index(sign) :][:5000]


def connections(server: HypercornServer) -> dict[int, str]:
    """The state of each TCP connection at the server's end, by the client's port.

    Those too that only the kernel still knows of; but not what it keeps of those
    that have ended in order.
    """
    states: dict[int, str] = {}
    ours = f":{server.port:04X} "
    for line in Path("/proc/net/tcp").read_text().splitlines():
        # There may be thousands that are not.
        if ours not in line:
            continue
        _, local, remote, state, *_ = line.split()
        if local.endswith(ours.strip()) and state not in (LISTEN, TIME_WAIT):
            states[int(remote.partition(":")[2], 16)] = state
    return states


def cpu_seconds(pid: int) -> float:
    """The time for which a process has had a processor."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    # After the name, which may hold anything.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@final
class Witness:
    """A client that looks on, and the crowd it is part of."""

    def __init__(self, clients: Crowd) -> None:
        self.clients = clients
        self.server = clients.server
        (self.member,) = clients.welcome(1)
        self.pid: int = self.ask("pid")
        # How many there are when nothing is under way; 0 while nobody knows.
        self._tasks = self.server.tasks

    def ask(self, event: str, data: Any = None) -> Any:
        """Send an event and return the data of its ack."""
        return self.clients.ask(self.member, event, data)

    def wait_for(
        self,
        what: str,
        condition: Callable[[dict[str, Any]], object],
        seconds: float = WAIT_SECONDS,
    ) -> dict[str, Any]:
        """Poll the statistics until *condition* holds for them."""
        statistics: dict[str, Any] = {}

        def holds() -> bool:
            statistics.update(self.ask("statistics"))
            return bool(condition(statistics))

        self.clients.wait(what, holds, seconds)
        return statistics

    def settled_look(self) -> dict[str, Any]:
        """What there is in the server once nothing is under way that ends by itself.

        Deadlines that have been met are kept until they would have come, and tasks
        of the server's may outlive the sockets that they were for.
        """
        look: dict[str, Any] = {}

        def is_settled() -> bool:
            look.update(self.ask("look"))
            most = self._tasks or look["tasks"]
            alarms = look["kinds"].get("greenroom.adapter._alarm.Alarm")
            return not alarms and look["tasks"] <= most

        self.clients.wait("the end of all deadlines and tasks", is_settled)
        self._tasks = self._tasks or look["tasks"]
        return look

    def cpu_share(self, seconds: float) -> float:
        """How much of a processor the server takes, over *seconds* of quiet."""
        before = cpu_seconds(self.pid)
        self.clients.go_on(seconds)
        return (cpu_seconds(self.pid) - before) / seconds

    def wait_alone(self, seconds: float = WAIT_SECONDS) -> None:
        """Return when all others are gone, their sockets too."""
        self.wait_for(
            "the end of all other clients", lambda it: it["connections"] == 1, seconds
        )
        self.clients.wait(
            "the end of all other sockets",
            lambda: connections(self.server).keys() == {self.member.port},
            seconds,
        )

    def wait_gone(self, seconds: float = WAIT_SECONDS) -> dict[str, str]:
        """End all others; return what on_disconnect was told of each, once."""
        for member in self.clients.members:
            if member is not self.member:
                member.drop()
        self.wait_alone(seconds)
        told: dict[str, list[str]] = {}

        def are_told() -> bool:
            # Of those at another adapter of the server nothing else tells.
            told.update(goodbyes(self.server))
            return all(told[sid] for sid in told if sid != self.member.sid)

        self.clients.wait("all goodbyes", are_told, seconds)
        assert told.pop(self.member.sid) == []
        check_log(self.server)
        return once(told)


@contextmanager
def witness(server: HypercornServer, *, stays: bool = True) -> Generator[Witness]:
    """A witness; if the server *stays*, nothing is left of all others at the end."""
    with crowd(server) as clients:
        watching = Witness(clients)
        yield watching
        if stays:
            watching.wait_gone()
