"""Who is put out while it is on its way in, is not in for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import anyio
import pytest

from greenroom import DynamicSupervisor, Handshake, Identity
from greenroom.adapter._calling import DIRECT, Caller
from greenroom.adapter._kicks import Kicks
from greenroom.adapter._server import Server
from greenroom.adapter._whom import Whom
from greenroom.testing import (
    MemoryTransport,
    Refused,
    TransportClosed,
    connect,
    wait_idle,
    websocket_scope,
)

from .support import Chat, at_once, until

pytestmark = pytest.mark.anyio

Moment: TypeAlias = Literal["asked", "accepting", "accepted", "starting"]
MOMENTS: tuple[Moment, ...] = "asked", "accepting", "accepted", "starting"


async def hear_nothing() -> str:
    await anyio.sleep_forever()
    raise AssertionError


class Hall(Chat):
    """Clients say their user in the URL; `put_out` is called at a moment of one's way.

    Which is that of the first client who comes; the moment is not there again.
    """

    def __init__(
        self, moment: Moment, put_out: Callable[[Hall], Any], **options: Any
    ) -> None:
        super().__init__(**options)
        self.moment: Moment | None = moment
        self.put_out = put_out
        self.answers: list[int] = []
        self.server: Server = self.adapter._server  # pyright: ignore[reportPrivateUsage]  # nothing public is there so early
        self.server.caller = self._caller

        @self.adapter.authenticate()
        def ask(handshake: Handshake) -> Identity:
            self.reach("asked")
            return Identity(handshake.query_params["user"])

    def reach(self, moment: Moment) -> None:
        if self.moment == moment:
            self.moment = None
            self.answers.append(at_once(self.put_out(self)))

    def _caller(self) -> Caller:
        # One for the hook, before there is a connection; then one for the handlers.
        if self.server.connections:
            self.reach("starting")
        return DIRECT

    async def serve(self, user: str, *, says_bye: bool = True) -> tuple[int, str]:
        """How a client that would stay for ever is refused, or closed."""
        transport, change = MemoryTransport(), pytest.MonkeyPatch().setattr
        if not says_bye:
            # Nor is it noticed that it has gone.
            change(transport, "receive", hear_nothing)
        accept = transport.accept

        async def accept_slowly(subprotocol: str | None = None) -> None:
            self.reach("accepting")
            await accept(subprotocol)
            self.reach("accepted")

        change(transport, "accept", accept_slowly)
        peer, scope = transport.peer, websocket_scope("/ws", query=f"user={user}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.adapter.serve, transport, scope)
            try:
                await peer.wait_opened()
                await peer.receive()
            except Refused as refused:
                return refused.status, refused.reason
            except TransportClosed as closed:
                return closed.code, closed.reason
        raise AssertionError("it was let in")


def ban_user(hall: Hall) -> Any:
    return hall.adapter.ban(user="ann")


def ban_address(hall: Hall) -> Any:
    return hall.adapter.ban(address="127.0.0.1")


def kick_user(hall: Hall) -> Any:
    return hall.adapter.kick(user="ann", code=4000, reason="out")


def kick_address(hall: Hall) -> Any:
    return hall.adapter.kick(address="127.0.0.1", code=4000, reason="out")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("ban", [ban_user, ban_address])
async def test_who_is_banned_while_it_is_half_in_does_not_come_in(
    moment: Moment, ban: Callable[[Hall], Any]
) -> None:
    hall = Hall(moment, ban)
    async with hall.running():
        told = (403, "banned") if moment == "asked" else (3003, "banned")
        assert await hall.serve("ann") == told
        assert hall.clients == {}
        statistics = hall.adapter.statistics()
        assert statistics.refused_banned == (moment == "asked")
        assert statistics.kicked == (moment != "asked")
        # Whom it has found where it is to be found.
        assert hall.answers == [moment == "starting"]
        assert await hall.serve("ann") == (403, "banned")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kick", [kick_user, kick_address])
async def test_who_is_kicked_while_it_is_half_in_is_put_out_once(
    moment: Moment, kick: Callable[[Hall], Any]
) -> None:
    hall = Hall(moment, kick)
    async with hall.running():
        assert await hall.serve("ann") == (4000, "out")
        assert hall.clients == {}
        assert hall.gone == []
        assert hall.adapter.statistics().kicked == 1
        # It may come back at once.
        async with connect(hall.adapter, query="user=ann") as ann:
            await ann.call("sid")
        assert hall.adapter.statistics().refused == 0


async def test_by_its_sid_too() -> None:
    def ban(hall: Hall) -> Any:
        (sid,) = hall.server.connections
        return hall.adapter.ban(sid=sid, reason="spam")

    hall = Hall("starting", ban)
    async with hall.running():
        assert await hall.serve("ann") == (3003, "spam")
        assert hall.clients == {}
        assert [ban.name for ban in hall.adapter.bans()] == ["ann"]


async def test_a_ban_is_not_forgotten_for_a_later_kick() -> None:
    async def ban(hall: Hall) -> int:
        await hall.adapter.ban(user="ann")
        return await hall.adapter.kick(user="bob")

    hall = Hall("accepting", ban, max_bans=1)
    async with hall.running():
        assert await hall.serve("ann") == (3003, "banned")
        assert hall.clients == {}


async def test_a_kick_by_sid_is_not_kept() -> None:
    async def kick(hall: Hall) -> int:
        await hall.adapter.kick(user="ann", code=4000, reason="out")
        return await hall.adapter.kick(sid="~nobody")

    hall = Hall("accepting", kick, max_bans=1)
    async with hall.running():
        assert await hall.serve("ann") == (4000, "out")


@pytest.mark.parametrize("moment", ["asked", "starting"])
async def test_another_who_is_half_in_then_comes_in(moment: Moment) -> None:
    hall = Hall(moment, kick_user)
    async with hall.running():
        async with connect(hall.adapter, query="user=bob") as bob:
            await bob.call("sid")
        assert hall.answers == [0]
        assert hall.adapter.statistics().kicked == 0


async def test_one_whose_server_is_late_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_child = DynamicSupervisor.start_child

    async def start_child_late(self: DynamicSupervisor, spec: Any) -> Any:
        ref = await start_child(self, spec)
        if spec.id.startswith("~"):
            await wait_idle()
            assert not hall.server.connections
        return ref

    hall = Hall("starting", kick_user)
    monkeypatch.setattr(DynamicSupervisor, "start_child", start_child_late)
    async with hall.running():
        assert await hall.serve("ann", says_bye=False) == (4000, "out")


# -- what is kept of it --------------------------------------------------------


class Someone:
    """A client that is meant by all its names."""

    sid = "~x"
    close_reason = ""

    def __init__(self, user: str | None, address: str | None) -> None:
        self.identity = None if user is None else Identity(user)
        self.scope = {"client": None if address is None else (address, 1)}


def test_of_kicks_the_latest_are_kept() -> None:
    kicks = Kicks(2)
    ann: Any = Someone("ann", "10.0.0.1")
    stranger: Any = Someone(None, None)
    assert kicks.since(kicks.turn, ann) is None
    kicks.add(Whom("user", "ann"), 4000, "first")
    turn = kicks.turn
    assert kicks.since(0, ann) == (4000, "first")
    assert kicks.since(0, stranger) is None
    kicks.add(Whom("address", "10.0.0.1"), 4001, "second")
    # After that only the second.
    assert kicks.since(turn, ann) == (4001, "second")
    kicks.add(Whom("user", "ann"), 4002, "third")
    kicks.add(Whom("user", "bob"), 4003, "fourth")
    # That of the address was the oldest.
    assert kicks.since(0, ann) == (4002, "third")
    assert kicks.since(kicks.turn - 1, ann) is None
    kicks.clear()
    assert kicks.since(0, ann) is None


async def test_what_was_kept_ends_with_the_adapter() -> None:
    hall = Hall("asked", kick_user)
    ann: Any = Someone("ann", None)
    async with hall.running():
        await hall.serve("ann")
        kicks = hall.server.admission.kicks
        assert kicks.since(0, ann) == (4000, "out")
    async with hall.running():
        assert kicks.since(0, ann) is None


async def test_killed_before_it_is_set_up_it_is_let_go() -> None:
    chat = Chat()
    transport = MemoryTransport()
    async with chat.running(), anyio.create_task_group() as tasks:
        serve = chat.adapter.serve
        tasks.start_soon(serve, transport, websocket_scope("/ws"))
        await until(lambda: chat.connections())
        [ref] = chat.connections()
        ref.kill()
        await until(lambda: not chat.adapter.statistics().connections)
        # Trio may have been faster, and have let it in.
        assert len(chat.gone) == len(chat.clients)
        transport.peer.drop()
