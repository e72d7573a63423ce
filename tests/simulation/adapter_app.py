"""An application whose handlers do all that handlers may."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio

from greenroom import AdapterError, Client

from .adapter_guests import EVERYONE, Guest
from .adapter_journal import ROOMS, SPACES, Journal
from .adapter_nature import Nature


class App:
    """The application.

    Args:
        nature: Decides everything.
    """

    def __init__(self, nature: Nature) -> None:
        self.nature = nature
        self.chance = nature.random
        self.journal = Journal(nature)
        self.adapter = self.journal.adapter
        self.released = anyio.Event()
        adapter = self.adapter
        adapter.on_connect()(self.hello)
        adapter.on_message()(self.seen)
        adapter.on_disconnect()(self.bye)
        for space in SPACES:
            adapter.on("do", namespace=space)(self.do)

    # -- handlers ----------------------------------------------------------

    async def hello(self, event: str, client: Client, data: Any) -> None:
        """on_connect."""
        journal = self.journal
        guest: Guest = client.scope["guest"]
        guest.client = client
        guest.connects += 1
        link: Any = client._link  # pyright: ignore[reportPrivateUsage]  # nothing public leads there
        guest.inbox, guest.outbox = link.context.mailbox, link.writer.outbox
        self.nature.watch(f"outbox of {guest.number}", guest.outbox)
        letters = journal.adapter.system.dead_letters
        if not journal.happened["listening"]:
            journal.happened["listening"] = 1
            letters.listen(journal.lost)
        # In by the time that all handlers have returned.
        guest.maybe.add(EVERYONE)
        try:
            await self.greet(guest, client)
        finally:
            guest.busy_at = journal.now

    async def greet(self, guest: Guest, client: Client) -> None:
        """What a handler of on_connect may do."""
        journal, chance = self.journal, self.chance
        await self.nature.pause()
        match chance.randrange(10):
            case 0:
                # Somebody else may have seen it off already.
                guest.rejected = True
                guest.cause(4401, journal.now)
                client.reject(4401)
            case 1:
                await self.kick(guest, 4000)
            case 2:
                journal.happened["handler errors"] += 1
                raise RuntimeError("greeting")
            case 3:
                await anyio.sleep(chance.random())
            case 4:
                await journal.to_guest(f"hello {guest.number}", guest, 0)
            case _:
                for room in chance.sample(ROOMS, chance.randrange(1, 3)):
                    await journal.join(guest, client, room)

    def seen(self, event: str, client: Client, data: Any) -> None:
        """on_message: before the handler of each event."""
        journal = self.journal
        guest: Guest = client.scope["guest"]
        guest.rooms.add(EVERYONE)
        guest.maybe.add(EVERYONE)
        journal.must(client.connected, "rule 9: who was told to go is not handled")
        journal.must(not guest.byes, "rule 7: on_disconnect is the last")
        journal.must(not guest.running, "rule 4: one message of a client at a time")
        last = guest.handled[-1] if guest.handled else -1
        journal.must(last < data["id"], "rule 3: messages are handled in order")
        guest.handled.append(data["id"])

    async def do(self, event: str, client: Client, data: Any) -> object:
        """The handler of what a peer wants done."""
        guest: Guest = client.scope["guest"]
        guest.running += 1
        try:
            with suppress(AdapterError):
                await self.act(data["what"], guest, client)
        except anyio.get_cancelled_exc_class():
            guest.cancelled.append(self.journal.now)
            raise
        finally:
            guest.running -= 1
            guest.done[data["id"]] = guest.busy_at = self.journal.now
        return data["id"]

    async def act(self, what: str, guest: Guest, client: Client) -> None:
        """What a handler may do."""
        journal, chance = self.journal, self.chance
        me = f"guest {guest.number}"
        await self.nature.pause()
        match what:
            case "talk":
                await journal.to_guest(me, guest, chance.randrange(5))
            case "stream":
                # More than its outbox may hold.
                for _ in range(10):
                    await journal.to_guest(me, guest, 0)
            case "room":
                await journal.to_rooms(me, client.namespace, ["a"], [guest])
            case "all":
                await journal.to_rooms(me, "/", [], [])
            case "join":
                await journal.join(guest, client, chance.choice(ROOMS))
            case "leave":
                await journal.leave(guest, client, chance.choice(ROOMS))
            case "call":
                await journal.call(guest, chance.random())
            case "ask":
                await journal.call(chance.choice(self.present() or [guest]), 1.0)
            case "kick me":
                await self.kick(guest, 4001)
            case "kick":
                await self.kick(chance.choice(self.present() or [guest]), 4002)
            case "raise":
                journal.happened["handler errors"] += 1
                raise RuntimeError("acting")
            case "block":
                with anyio.move_on_after(3.0):
                    await self.released.wait()
            case "sleep":
                await anyio.sleep(chance.random())
            case "stubborn":
                guest.stubborn = True
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(chance.choice((0.3, 3.0)))
            case _:
                pass

    async def bye(self, event: str, client: Client, data: Any) -> None:
        """on_disconnect."""
        journal, chance = self.journal, self.chance
        guest: Guest = client.scope["guest"]
        registry: Any = self.adapter._server.registry  # pyright: ignore[reportPrivateUsage]  # nothing public tells
        link: Any = client._link  # pyright: ignore[reportPrivateUsage]  # likewise
        guest.byes.append((journal.now, client.close_code, client.close_reason))
        began = journal.now
        groups = registry.groups_of(link.context.ref)
        journal.must(not groups, "rule 7: who has gone is in no room")
        journal.must(not len(link._acks), "rule 7: who has gone owes no acks")
        idle = not guest.running or guest.stubborn
        journal.must(idle, "rule 7: handlers end before on_disconnect")
        try:
            match chance.randrange(8):
                case 0:
                    await anyio.sleep(chance.random())
                case 1:
                    await anyio.sleep(30)
                case 2:
                    raise RuntimeError("leaving")
                case 3:
                    await journal.to_rooms(f"bye {guest.number}", "/", ["a"], [])
                case 4:
                    await journal.to_guest(f"bye {guest.number}", guest, 0)
                case _:
                    await self.nature.pause()
        finally:
            journal.must(not guest.line.served, "rule 7: serve outlasts on_disconnect")
            most = journal.options.disconnect_seconds
            late = journal.now > began + most + 1e-6
            journal.must(not late, "rule 7: on_disconnect has its deadline")

    async def kick(self, guest: Guest, code: int) -> None:
        """Disconnect a guest."""
        if guest.open:
            guest.kicked = code
        if guest.client.connected:
            guest.cause(code, self.journal.now)
        await guest.client.disconnect(code)
        self.journal.must(not guest.client.connected, "rule 9: a kick works at once")

    def present(self) -> list[Guest]:
        """Those who are connected."""
        return [guest for guest in self.journal.guests if guest.open]
