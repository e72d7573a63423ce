"""A whole adapter among guests of five kinds, and the end of it all.

Peers come, talk, read or do not, and vanish; handlers emit, ask, block, raise and
do not listen; others emit to all of them meanwhile.  Then the adapter is drained,
left, or cancelled.  What must hold is in adapter_rules.py.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final, final

import anyio

from greenroom import AdapterError, Client

from .adapter_app import App
from .adapter_guests import Guest
from .adapter_journal import ROOMS, SPACES, Journal
from .adapter_nature import Nature
from .adapter_rules import check_all, hold_always
from .lines import KERNEL_SECONDS, Kind, Line

GUESTS: Final = 5
PUBLISHERS: Final = 2
ORDERS: Final = 6

# Nothing may take longer: after it everything is over, or hangs.
LIMIT: Final = 6 * KERNEL_SECONDS

DOINGS: Final = (
    "echo",
    "echo",
    "talk",
    "stream",
    "room",
    "all",
    "join",
    "join",
    "leave",
    "call",
    "call",
    "ask",
    "kick me",
    "kick",
    "raise",
    "raise",
    "block",
    "sleep",
    "stubborn",
)


@final
class Stage(App):
    """One world.

    Args:
        nature: Decides everything.
    """

    def __init__(self, nature: Nature) -> None:
        super().__init__(nature)
        self.stopping = anyio.Event()
        # Set when peers that would stay shall go.
        self.closing_time = anyio.Event()
        # Whether the next handler that runs shall drain.
        self.asks_for_drain = False

    # -- guests ------------------------------------------------------------

    async def come(self, number: int) -> None:
        """A guest, until it is gone."""
        chance, journal = self.chance, self.journal
        await anyio.sleep(chance.choice((0.0, 0.0, chance.random())))
        kind = chance.choice(tuple(Kind))
        stopping = self.stopping if chance.random() < 0.5 else None
        line = Line(kind, chance, stopping=stopping)
        guest = Guest(number, line)
        journal.guests.append(guest)
        line.answer = lambda fields: self.answer(guest, fields)
        line.is_read = lambda: self.is_read(line)
        if kind is Kind.DROPPED and chance.random() < 0.2:
            line.drop()
        late = self.adapter.statistics().draining
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(self.serve, guest, scope)
            await line.opened.wait()
            refused = line.refused == 503
            journal.must(refused or not late, "rule 8: who comes late is refused")
            for id in range(chance.randrange(1, ORDERS)):
                if line.over.is_set():
                    break
                await self.talk(guest, id)
            await self.part(guest, scope)

    def is_read(self, line: Line) -> bool:
        """Whether what comes of *line* is for somebody who is not being put out."""
        live = self.adapter._server.connections.values()  # pyright: ignore[reportPrivateUsage]  # nothing public tells
        return any(each.transport is line and each.connected for each in live)

    async def serve(self, guest: Guest, scope: anyio.CancelScope) -> None:
        """The server's task for a guest."""
        line = guest.line
        if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
            guest.task = asyncio.current_task()
        try:
            with scope:
                await self.adapter.serve(line, {"guest": guest})
        except (OSError, RuntimeError):
            self.journal.must(line.kind is Kind.RAISING, "serve raises nothing")
        except asyncio.CancelledError:
            # Natively, below; nobody else wants this task to end.
            assert guest.task is not None
            guest.task.uncancel()
        finally:
            line.shut()
            guest.served_at = self.journal.now

    async def talk(self, guest: Guest, id: int) -> None:
        """Something that a peer says, or does."""
        chance, line = self.chance, guest.line
        await self.nature.pause()
        if chance.random() < 0.2:
            await anyio.sleep(chance.random())
        if line.kind is Kind.DROPPED and chance.random() < 0.3:
            guest.go(1006)
        elif line.kind is Kind.RAISING and chance.random() < 0.2:
            line.push(chance.choice((OSError, RuntimeError))("broken"))
        elif chance.random() < 0.1:
            await line.say("{")
        else:
            space, what = chance.choice(SPACES), chance.choice(DOINGS)
            wants = ""
            if chance.random() < 0.5:
                wants = f'"id": {id}, '
                guest.asked[id] += 1
            await line.say(
                f'{{"event": "do", {wants}"namespace": "{space}", '
                f'"data": {{"what": "{what}", "id": {id}}}}}'
            )

    def answer(self, guest: Guest, fields: dict[str, Any]) -> None:
        """What a peer does about a frame it has read."""
        chance, line = self.chance, guest.line
        if "ack" in fields:
            guest.answered[fields["ack"]] += 1
        elif "id" in fields:
            id = fields["id"]
            error = '"error": {"code": "no", "message": ""}'
            match chance.randrange(6):
                case 0:
                    pass
                case 1:
                    line.push(f'{{"ack": {id}, {error}}}')
                case 2:
                    line.push(f'{{"ack": {id + 100}}}')
                case 3:
                    line.push(f'{{"ack": {id}}}')
                    line.push(f'{{"ack": {id}, {error}}}')
                case _:
                    line.push(f'{{"ack": {id}, "data": 1}}')

    async def part(self, guest: Guest, scope: anyio.CancelScope) -> None:
        """How a guest goes, if it does."""
        chance, line, journal = self.chance, guest.line, self.journal
        if line.over.is_set():
            return
        stays = line.kind is Kind.HALF_DEAD
        match 6 if stays else chance.randrange(6):
            case 0:
                guest.go(4100)
            case 1:
                guest.go(1006)
            case 2:
                # The server gives it up: the adapter is not asked.
                guest.cause(1001, journal.now)
                if guest.task is not None and chance.random() < 0.5:
                    guest.task.cancel()
                else:
                    scope.cancel()
            case _:
                await self.closing_time.wait()
                guest.go(1006)

    # -- others ------------------------------------------------------------

    async def publish(self, number: int) -> None:
        """One who emits to everybody, in all the ways there are."""
        chance, journal = self.chance, self.journal
        me = f"publisher {number}"
        for _ in range(ORDERS):
            await self.nature.pause()
            if chance.random() < 0.4:
                await anyio.sleep(chance.random())
            present = self.present()
            some = chance.sample(present, min(len(present), 1))
            space = chance.choice(SPACES)
            times = chance.choice((1, 1, 1, 6))
            with (
                anyio.move_on_after(chance.choice((0.3, 60.0))),
                suppress(AdapterError),
            ):
                for _ in range(times):
                    match chance.randrange(7):
                        case 0 | 1:
                            volatile = chance.random() < 0.3
                            await journal.to_rooms(me, "/", [], [], volatile=volatile)
                        case 2:
                            await journal.to_rooms(me, space, list(ROOMS), some)
                        case 3:
                            await journal.to_rooms(me, space, ["a"], [])
                        case 4 | 5 if some:
                            await journal.to_guest(me, some[0], chance.randrange(5))
                        case 6 if some and chance.random() < 0.4:
                            await self.kick(some[0], 4003)
                        case _:
                            await self.nature.pause()

    # -- the end -----------------------------------------------------------

    async def drain(self) -> None:
        """Drain in the midst of it."""
        chance, journal = self.chance, self.journal
        began = journal.now
        deadline = chance.choice((0.4, 2.0))
        batch = chance.choice((1, 2, 1000))
        spread = chance.choice((0.0, 5.0))
        code = chance.choice((None, 4999))
        self.say_farewell(code or (1012 if spread else 1001), deadline, batch)
        # Not waited for, it goes on.
        with anyio.move_on_after(chance.choice((0.1, 60.0))):
            await self.adapter.drain(deadline, batch, spread=spread, code=code)
        took = journal.now - began
        late = took > deadline + 1e-6
        journal.must(not late, f"rule 8: a drain of {deadline} s took {took}")

    async def act(self, what: str, guest: Guest, client: Client) -> None:
        """What a handler may do, and here also drain."""
        if self.asks_for_drain and self.journal.farewell is None:
            await self.drain()
        else:
            await super().act(what, guest, client)

    async def drain_later(self) -> None:
        """Drain at some time, here or in the next handler that runs."""
        await anyio.sleep(self.chance.random() * 2)
        if self.chance.random() < 0.5:
            await self.drain()
        else:
            self.asks_for_drain = True

    async def stop(self) -> None:
        """The server is told to stop."""
        await anyio.sleep(self.chance.random() * 2)
        if self.listens():
            self.say_farewell(1001)
            self.stopping.set()

    def listens(self) -> bool:
        """Whether the adapter has been told how to learn that the server stops."""
        guests = self.journal.guests
        return any(
            guest.line.stopping and guest.line.accepted_at is not None
            for guest in guests
        )

    def say_farewell(
        self, code: int, deadline: float | None = None, batch: int | None = None
    ) -> None:
        """From now on nobody is let in, and everybody is seen off."""
        journal, options = self.journal, self.journal.options
        deadline = options.drain_seconds if deadline is None else deadline
        batch = options.drain_batch if batch is None else batch
        journal.farewell = code, journal.now
        for guest in journal.guests:
            if not guest.byes and guest.line.accepted_at is not None:
                # In batches, each is told by the deadline.
                guest.vague = batch < GUESTS
                guest.cause(code, journal.now + (deadline if guest.vague else 0.0))

    async def run(self) -> Journal:
        """See it through."""
        chance, journal = self.chance, self.journal
        ending = chance.choice(("leave", "leave", "drain", "stop", "cancel", "empty"))
        hold_always(journal)
        began: float | None = None
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as peers:
                with anyio.CancelScope() as outside:
                    async with self.adapter.running():
                        before = len(anyio.get_running_tasks())
                        for number in range(GUESTS):
                            peers.start_soon(self.come, number)
                        async with anyio.create_task_group() as inside:
                            for number in range(PUBLISHERS):
                                inside.start_soon(self.publish, number)
                            if ending == "drain":
                                inside.start_soon(self.drain_later)
                            if ending == "stop":
                                inside.start_soon(self.stop)
                            if ending == "cancel":
                                await anyio.sleep(chance.random() * 2)
                                self.say_farewell(1001)
                                outside.cancel()
                        if ending == "leave":
                            await anyio.sleep(2 * chance.random())
                        if ending == "empty":
                            self.released.set()
                            self.closing_time.set()
                            # By then everybody is gone, and all that they had.
                            await anyio.sleep(2 * KERNEL_SECONDS)
                            # One may wait for the server's word to stop.
                            left = len(anyio.get_running_tasks()) - before
                            journal.tasks_left = left - self.listens()
                            check_all(journal, running=True)
                        if journal.farewell is None:
                            self.say_farewell(1001)
                        began = journal.now
                if began is None:
                    assert journal.farewell is not None
                    began = journal.farewell[1]
                journal.leaving = began, journal.now
                self.released.set()
                self.closing_time.set()
        check_all(journal, running=False)
        return journal


async def adapter_world(nature: Nature) -> Journal:
    """The world."""
    return await Stage(nature).run()
