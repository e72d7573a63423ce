"""The machine: cores, processes, memory, and a line that says which one it was."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")

#: What moves the figures, named in every report.
PACKAGES = (
    "greenroom",
    "anyio",
    "trio",
    "hypercorn",
    "wsproto",
    "orjson",
    "python-socketio",
    "python-engineio",
    "starlette",
    "uvicorn",
    "websockets",
    "picows",
    "uvloop",
    "pykka",
)
NODE_APPS = Path(__file__).resolve().parents[1] / "apps" / "node"
NODE_PACKAGES = ("ws", "socket.io")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core the server has to itself, and the one the load comes from."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """Whether server and load had to share one core: no figure is good then."""
        return self.server == self.load


def choose_cores() -> Cores:
    """Take the first two cores this process may run on."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(server=allowed[0], load=allowed[1 % len(allowed)])


@contextmanager
def pinned(core: int) -> Generator[None, None, None]:
    """Run on *core* alone; children started inside stay there for good."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files, and its children's, to *count*.

    Raises:
        OSError: The hard limit is below *count*.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise OSError(f"expected a limit of {count} open files, hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def most_open_files() -> int:
    """How high `allow_open_files` can go."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def ports_of_one_address() -> int:
    """How many connections to one server may come from one address.

    Half the ephemeral ports: those of connections just closed are not free yet.
    """
    span = (_PROC / "sys/net/ipv4/ip_local_port_range").read_text().split()
    low, high = (int(port) for port in span)
    return (high - low + 1) // 2


def process_tree(root: int) -> list[int]:
    """List *root* and all its descendants."""
    found = [root]
    for pid in found:
        for task in (_PROC / str(pid) / "task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def tree_memory(root: int) -> int:
    """Add up the resident kB (1,024 bytes) of *root* and all its descendants."""
    total = 0
    for pid in process_tree(root):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                total += int(line.split()[1])
    return total


def tree_cpu(root: int) -> float:
    """Add up the processor seconds that *root* and its descendants have used."""
    ticks = 0
    for pid in process_tree(root):
        # The name, field 2, may hold spaces and parentheses: count from its end.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK


def core_busy(core: int) -> float:
    """Seconds that *core* was not idle, whoever used it; the hypervisor's included.

    Interrupts are left out: most are the work of the process they interrupt.
    """
    for line in (_PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _, _, _, _, steal, *_ = (int(field) for field in fields)
            return (user + nice + system + steal) / _TICK
    raise ValueError(f"expected a core of this machine, got {core}")


def describe() -> dict[str, str]:
    """Say what the figures were measured on, and with which versions."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts | _node()


def described() -> str:
    """The same in one line."""
    return ", ".join(f"{name} {value}" for name, value in describe().items())


def _node() -> dict[str, str]:
    """Node and the packages installed for it, as far as they are there."""
    if shutil.which("node") is None:
        return {}
    run = subprocess.run(["node", "--version"], capture_output=True, text=True)
    facts = {"node": run.stdout.strip()}
    for package in NODE_PACKAGES:
        manifest = NODE_APPS / "node_modules" / package / "package.json"
        if manifest.is_file():
            facts[f"node {package}"] = json.loads(manifest.read_text())["version"]
    return facts


def _processor() -> str:
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
