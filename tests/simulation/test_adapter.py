"""A whole adapter in any order of events, on Trio and on asyncio: no rule is broken.

The world is in adapter_world.py, the rules are in adapter_rules.py.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from greenroom import ActorRef, Registry
from greenroom.actors import Mailbox
from greenroom.adapter import JsonEnvelope
from greenroom.adapter._connection import Connection
from greenroom.adapter._emitter import Emitter
from greenroom.adapter._rooms import Rooms
from greenroom.adapter._server import Server
from greenroom.adapter._writer import Writer
from greenroom.testing import World, explore, virtual_backend

from .adapter_journal import Journal
from .adapter_nature import Loose
from .adapter_world import adapter_world
from .lines import Kind

SCHEDULES = 300
ON_ASYNCIO = 250


@pytest.mark.timeout(300)
def test_no_rule_is_broken_on_trio() -> None:
    explored = explore(adapter_world, range(SCHEDULES), processes=2)

    assert explored.schedules == explored.distinct == SCHEDULES


def on_asyncio(seeds: Iterable[int]) -> None:
    """A world for each of *seeds*, where asyncio's own tasks are cancelled, too."""
    for seed in seeds:
        name, options = virtual_backend("asyncio", seed=seed)
        options["debug"] = False
        try:
            anyio.run(adapter_world, Loose(seed), backend=name, backend_options=options)
        except BaseException as error:
            error.add_note(f"on_asyncio([{seed}])")
            raise


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand worlds would fill a log that nobody reads."""
    caplog.set_level(logging.CRITICAL + 1, "greenroom")


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("quiet")
def test_no_rule_is_broken_on_asyncio() -> None:
    on_asyncio(range(ON_ASYNCIO))


def test_everything_happens_that_can() -> None:
    happened: Counter[str] = Counter()

    async def main(world: World) -> None:
        count(happened, await adapter_world(world))

    explore(main, range(100))

    wanted = {"stalls", "overflows", "dropped", "rejected", "refused", "strikes"}
    wanted |= {"handler_errors", "unknown_recipients", "letters", "calls", "failed"}
    wanted |= {"callbacks", "kicked", "stubborn", "swallowed", "aborted", "cut"}
    wanted |= {kind.value for kind in Kind}
    assert {what for what in wanted if happened[what] < 5} == set(), happened


def count(happened: Counter[str], journal: Journal) -> None:
    """Add what happened in one world."""
    statistics: Any = journal.adapter.statistics()
    for what in ("stalls", "overflows", "dropped", "rejected", "refused", "strikes"):
        happened[what] += getattr(statistics, what)
    for what in ("handler_errors", "unknown_recipients"):
        happened[what] += getattr(statistics, what)
    happened["callbacks"] += journal.happened["callbacks"]
    happened["letters"] += len(journal.letters)
    happened["calls"] += sum(call.answered for call in journal.calls)
    happened["failed"] += sum(not call.answered for call in journal.calls)
    for guest in journal.guests:
        line = guest.line
        happened["kicked"] += guest.kicked is not None
        happened["stubborn"] += guest.stubborn
        happened["swallowed"] += bool(line.swallowed)
        happened["aborted"] += line.aborted_at is not None
        happened["cut"] += line.is_cut()
        happened[line.kind.value] += bool(guest.byes)


# -- each rule can be seen to be broken ---------------------------------------


async def waits(self: Emitter, groups: Any, item: Any, skip: Any) -> None:
    """Emit to a room, and wait for each of its members."""
    server: Any = vars(Emitter)["_server"].__get__(self)
    for connection in tuple(server.connections.values()):
        ref = connection.context.ref if connection.is_set_up else None
        groups_of = server.registry.groups_of(ref) if ref else ()
        if ref not in skip and set(groups_of) & set(groups):
            await connection.send(item)


async def suspends(publish: Any, self: Registry, *args: Any, **options: Any) -> None:
    """Publish, but not at once."""
    await checkpoint()
    await publish(self, *args, **options)


async def overtakes(
    self: Registry, mailbox: Mailbox[Any], message: object, **_: Any
) -> bool:
    """Deliver past what was published before."""
    sender = mailbox.wait_for_room(message)
    return sender is None or await mailbox.wait_in_line(sender)


async def beside(handle: Any, self: Connection, packet: Any) -> None:
    """Handle a message beside the one before."""
    self.context.runtime.start_task(handle, self, packet)


async def drops(self: ActorRef[Any], message: Any, **_: Any) -> None:
    """Send, or not."""
    self.try_tell(message)


def encodes_twice(event: Any, self: JsonEnvelope, *args: Any) -> Any:
    """Encode, and encode again."""
    event(self, *args)
    return event(self, *args)


async def nothing(*_: Any) -> None:
    """Forget it."""


def forget(*_: Any) -> None:
    """Forget it, too."""


async def twice(function: Any, self: Any, *args: Any) -> None:
    """Do it once more."""
    await function(self, *args)
    await function(self, *args)


# What is broken, by what, and how it is told.
BROKEN: dict[str, tuple[type, str, Any, str]] = {
    "emit waits for members": (Emitter, "_publish", waits, "rule 1: emit to a room"),
    "emit suspends": (Registry, "publish", suspends, "rule 2: emit does not suspend"),
    "direct overtakes": (Registry, "deliver", overtakes, "rule 3: in the order sent"),
    "side by side": (Connection, "_handle", beside, "rule 4: one message"),
    "reads and drops": (ActorRef, "send", drops, "rule 5: who cannot go on"),
    "encodes twice": (JsonEnvelope, "event", encodes_twice, "rule 6: encoded once"),
    "stays in rooms": (Rooms, "leave_all", nothing, "rule 7: who has gone is in no"),
    "bye twice": (Connection, "_say_goodbye", twice, "rule 7: on_disconnect once"),
    "takes who is late": (Server, "_check_accepting", forget, "rule 8: who comes late"),
    "does not stop": (Connection, "_stop", forget, "rule 9: who"),
    "lost without a letter": (Writer, "_bury", forget, "conservation: nothing is lost"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_adapter_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, broken, told = BROKEN[what]
    if broken in (suspends, beside, encodes_twice, twice):
        right = getattr(owner, name)

        def wrapped(self: Any, *args: Any, **options: Any) -> Any:
            return broken(right, self, *args, **options)

        monkeypatch.setattr(owner, name, wrapped)
    else:
        monkeypatch.setattr(owner, name, broken)

    with pytest.raises(Exception, match=told):
        explore(adapter_world, range(SCHEDULES))
