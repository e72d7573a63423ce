"""A chat: rooms, names, who is here, who is typing, the last lines, and its page.

    python examples/chat.py --worker trio
    hypercorn --worker-class trio examples.chat:app

Each room is an actor. It alone knows who is in it and what was said, and takes
one message at a time: whether a name is free needs no lock, and the history
that a late comer gets has neither a gap nor a line twice. The handlers check
what a browser sent, and ask. All of it lives in one process: use one worker.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import secrets
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from greenroom import (
    Actor,
    ActorAdapter,
    ActorNotAlive,
    ActorRef,
    ChildExists,
    ChildSpec,
    Client,
    ClientGone,
    DynamicSupervisor,
    EventError,
    ExitReason,
    Request,
    Restart,
    TooManyChildren,
)

# Nothing that a stranger can make grow is without a bound.
MAX_ROOMS = 100
MAX_NAME = 24
MAX_TEXT = 2000
HISTORY = 50
TAKEN_OVER = 4001  # the page knows this close code, and does not come back

adapter = ActorAdapter(path="/ws")


@dataclass(frozen=True, slots=True)
class Enter(Request[dict[str, object] | str]):
    """Let *client* in as *nick*; answered by the room's state, or by why not."""

    client: Client
    nick: str
    key: str


@dataclass(frozen=True, slots=True)
class Say(Request[bool]):
    """Say *text*; answered by whether *sid* is in the room."""

    sid: str
    text: str


@dataclass(frozen=True, slots=True)
class Type:
    """Tell the others that *sid* is typing."""

    sid: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Forget *sid*; harmless if the room does not know it."""

    sid: str


@dataclass(frozen=True, slots=True)
class Recount:
    """A room to itself: show everybody how many are in which room."""


RoomMessage = Enter | Say | Type | Leave | Recount
RoomRef = ActorRef[RoomMessage]


class Room(Actor[RoomMessage]):
    """One room: its members, and the last lines said in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Lines are numbered from 1 in every incarnation; this tells which.
        self.epoch = secrets.token_hex(4)
        self.numbers = itertools.count(1)
        self.lines: deque[dict[str, object]] = deque(maxlen=HISTORY)
        self.members: dict[str, Enter] = {}
        self.recounting = False

    async def started(self) -> None:
        # Nobody listens to a new room. After a crash its listeners are all that
        # is left of it: have them introduce themselves again.
        await adapter.emit("rejoin", {"room": self.name}, room=self.name)
        self.recount()

    async def stopped(self, reason: ExitReason) -> None:
        lobby.forget(self)

    async def receive(self, message: RoomMessage) -> object:
        if isinstance(message, Enter):
            return await self.enter(message)
        if isinstance(message, Recount):
            self.recounting = False
            await adapter.broadcast("rooms", lobby.view())
            return None
        member = self.members.get(message.sid)
        if member is None:
            return False
        if isinstance(message, Say):
            await self.publish("said", member.nick, message.text)
        elif isinstance(message, Type):
            # Nobody says when it ends: the pages let it expire.
            notice = {"room": self.name, "nick": member.nick}
            await adapter.emit("typing", notice, room=self.name, skip_sid=message.sid)
        else:
            await self.remove(member)
            await self.publish("left", member.nick)
        return True

    async def enter(self, new: Enter) -> dict[str, object] | str:
        same = new.nick.casefold()
        holder = next(
            (m for m in self.members.values() if m.nick.casefold() == same), None
        )
        # A phone that changed networks is back before its old connection is
        # known to be dead: the key shows that it is the same tab.
        if holder and holder.client is not new.client and holder.key != new.key:
            return f"{new.nick} is taken in #{self.name}"
        # Listening first, then the history, and no line between the two: what
        # is said from here on may arrive twice, and the page drops it by its number.
        try:
            await new.client.join(self.name)
        except ClientGone:
            return "you have left"
        known = self.members.get(new.client.sid)
        before = dict.fromkeys(member.nick for member in (known, holder) if member)
        if holder and holder.client is not new.client:
            await self.remove(holder)
            await holder.client.disconnect(TAKEN_OVER, "continued elsewhere")
        self.members[new.client.sid] = new
        for nick in before:
            if nick != new.nick:
                await self.publish("left", nick)
        if new.nick not in before:
            await self.publish("joined", new.nick)
        self.recount()
        return {
            "room": self.name,
            "nick": new.nick,
            "epoch": self.epoch,
            "members": [member.nick for member in self.members.values()],
            "lines": list(self.lines),
        }

    async def remove(self, member: Enter) -> None:
        del self.members[member.client.sid]
        await member.client.leave(self.name)
        self.recount()

    def recount(self) -> None:
        lobby.count(self)
        # Shown a little later, once for all who come and go together: when a
        # server restarts, everybody comes back within a second.
        if not self.recounting:
            self.recounting = True
            self.context.send_after(0.1, Recount())

    async def publish(self, kind: str, nick: str, text: str = "") -> None:
        line: dict[str, object] = {"room": self.name, "id": next(self.numbers)}
        line |= {"kind": kind, "nick": nick, "text": text, "at": time.time() * 1000}
        self.lines.append(line)
        # Returns once the registry has it: no room waits for its slowest browser.
        await adapter.emit("line", line, room=self.name)


class Lobby:
    """Which rooms there are, and how many are in each."""

    def __init__(self) -> None:
        self.supervisor = DynamicSupervisor(max_children=MAX_ROOMS)
        self._open: dict[str, tuple[RoomRef, int]] = {}

    async def open(self, name: str) -> RoomRef:
        """The room called *name*, started if need be."""
        # A factory: a room that crashes comes back with a fresh state.
        spec = ChildSpec(name, partial(Room, name), Restart.TRANSIENT)
        while True:
            try:
                return await self.supervisor.start_child(spec)
            except ChildExists as found:
                if found.ref is None:  # not so: what has ended leaves nothing behind
                    raise
                return found.ref
            except TooManyChildren:
                await self._close_one()

    async def _close_one(self) -> None:
        empty = next((name for name, (_, n) in self._open.items() if n == 0), None)
        if empty is None:
            raise EventError("too_many_rooms", "there are too many rooms; join one")
        room, _ = self._open.pop(empty)
        await self.supervisor.stop_child(room)

    def count(self, room: Room) -> None:
        self._open[room.name] = room.context.ref, len(room.members)

    def forget(self, room: Room) -> None:
        self._open.pop(room.name, None)

    def view(self) -> list[dict[str, object]]:
        return [{"name": name, "members": n} for name, (_, n) in self._open.items()]


lobby = Lobby()


def rooms_of(client: Client) -> list[RoomRef]:
    rooms: list[RoomRef] = client.session.setdefault("rooms", [])
    return rooms


def text_of(data: object, field: str, limit: int) -> str:
    """What a browser sent as *field*; empty if it is no text, or too much of it."""
    fields = cast("dict[str, object]", data) if isinstance(data, dict) else {}
    sent = fields.get(field)
    text = sent.strip() if isinstance(sent, str) else ""
    return text if len(text) <= limit else ""


@adapter.on_connect()
async def welcome(event: str, client: Client, data: object) -> None:
    await client.emit("rooms", lobby.view())


@adapter.on("join")
async def join(event: str, client: Client, data: object) -> dict[str, object]:
    nick = " ".join(text_of(data, "nick", MAX_NAME).split())
    name = text_of(data, "room", MAX_NAME).casefold()
    if not nick or not nick.isprintable():
        raise EventError("bad_name", f"a name is 1 to {MAX_NAME} visible characters")
    if not re.fullmatch(r"[\w-]+", name):
        raise EventError("bad_room", f"a room is 1 to {MAX_NAME} letters or digits")
    room = await lobby.open(name)
    # Noted before asking: a client that vanishes meanwhile may be in the room,
    # and `bye` must know where to look.
    rooms = rooms_of(client)
    rooms.append(room)
    try:
        view = await room.ask(Enter(client, nick, text_of(data, "key", 64)))
    except ActorNotAlive:
        view = "the room was just closed; try again"
    if isinstance(view, str):
        rooms.pop()
        raise EventError("refused", view)
    # One room at a time; the old one is left only now that the new one let us in.
    await leave(client, [other for other in rooms if other is not room])
    rooms[:] = [room]
    return view


@adapter.on("say")
async def say(event: str, client: Client, data: object) -> None:
    text = text_of(data, "text", MAX_TEXT)
    if not text:
        raise EventError("bad_line", f"a line is 1 to {MAX_TEXT} characters")
    said = False
    for room in rooms_of(client):
        with suppress(ActorNotAlive):  # gone with its supervisor: the page rejoins
            said |= await room.ask(Say(client.sid, text))
    if not said:
        raise EventError("not_joined", "you are in no room")


@adapter.on("typing")
async def typing(event: str, client: Client, data: object) -> None:
    for room in rooms_of(client):
        room.try_tell(Type(client.sid))  # a busy room may miss it: it is stale soon


@adapter.on("ping")
async def ping(event: str, client: Client, data: object) -> None:
    """Prove to the page, which cannot ping by itself, that we are here."""


@adapter.on_disconnect()
async def bye(event: str, client: Client, data: object) -> None:
    await leave(client, rooms_of(client))


async def leave(client: Client, rooms: list[RoomRef]) -> None:
    for room in rooms:
        with suppress(ActorNotAlive):
            # Not told but sent, which waits while a mailbox is full: it must arrive.
            await room.send(Leave(client.sid))


PAGE = Path(__file__).with_name("chat.html").read_bytes()
POLICY = (
    b"default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'"
    b"; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


async def send_when_open(send: Any, message: Any) -> None:
    """Start the rooms once the adapter runs, before the server takes a client."""
    if message["type"] == "lifespan.startup.complete":
        # Below a supervisor of their own: rooms that keep crashing end that first.
        await adapter.system.spawn(
            lambda: lobby.supervisor, name="chat", restart=Restart.PERMANENT
        )
    await send(message)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """WebSockets and lifespan are the adapter's; the page is ours."""
    if scope["type"] == "lifespan":
        send = partial(send_when_open, send)
    if await adapter(scope, receive, send):
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})  # before accepting: a plain 403
        return
    found = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
    body = PAGE if found else b"not found: the chat is at /\n"
    headers = [
        (b"content-type", b"text/%b; charset=utf-8" % (b"html" if found else b"plain")),
        (b"content-length", b"%d" % len(body)),
        (b"content-security-policy", POLICY),
        (b"cache-control", b"no-cache"),
    ]
    status = 200 if found else 404
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Say where the chat is, and become hypercorn serving it."""
    parser = argparse.ArgumentParser(description="A chat on Greenroom.")
    parser.add_argument("--worker", choices=["trio", "asyncio"], default="trio")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"Open http://{host}:{options.port}/  (Ctrl-C stops it)", flush=True)
    os.chdir(Path(__file__).resolve().parent)  # so that it works from anywhere
    command = [sys.executable, "-m", "hypercorn", "--worker-class", options.worker]
    os.execv(sys.executable, [*command, "--bind", f"{host}:{options.port}", "chat:app"])


if __name__ == "__main__":
    main()
