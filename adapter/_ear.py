"""Ear: the half of a connection that its client is heard through.

It reads in a task of the server's: frame after frame, within the rates, decoded,
and into the inbox.  It waits for room there, and so pushes back on the client; and it
never handles anything itself but acks and pings, which must not wait.  What the
server deals with by itself is heard of too where there are rates, and counts.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, final

import anyio

from ..actors import ActorNotAlive, Gate, MailboxOptions, Runtime
from ._acks import Callback
from ._asides import Aside
from ._bucket import Bucket, size_of
from ._client import address_of
from ._events import RATE_CLOSED, READ_FAILED, STRUCK_OUT
from ._identity import Identity
from ._options import Excess, Options
from ._outgoing import Outgoing
from ._packets import Ack, BadFrame, Event, Frame, set_weight
from ._pulse import PING, WORD, Beat
from ._transport import Transport, TransportClosed
from ._voice import House, Voice

TOO_MANY = 1008, "too many messages"
UNREADABLE = 1008, "too many unreadable messages"
ENDLESS = 1009, "message is too long"

# In the words of the codecs.
_TOO_LARGE = "too_large"


@final
@dataclass(frozen=True, slots=True)
class Opened:
    """The first message: greet the client."""

    weight: int = 0


@final
@dataclass(frozen=True, slots=True)
class Answered:
    """An ack came that a callback waits for."""

    callback: Callback
    data: object
    weight: int


Inbound: TypeAlias = Event | Opened | Answered


def inbox_options(options: Options) -> MailboxOptions:
    """The bounds of every inbox; made once for all."""
    return MailboxOptions(
        capacity=options.inbox_messages,
        weigh=attrgetter("weight"),
        max_weight=options.inbox_bytes,
    )


class Ear(Voice[Inbound]):
    """Base of `Connection`, which sets what is only declared here."""

    __slots__ = ("_bucket", "_strikes", "beat")

    transport: Transport
    gone: Gate

    def __init__(self, house: House, sid: str, identity: Identity | None) -> None:
        super().__init__(house, sid, identity)
        self._strikes = 0
        # There where there are rates, and where silence is of interest.
        self._bucket: Bucket | None = None
        self.beat: Beat | None = None

    @abstractmethod
    def lost(self, code: int, reason: str) -> None:
        """The client has gone by itself."""

    def _listen(self, runtime: Runtime) -> None:
        """Make what is needed to read."""
        rates = self._house.rates
        if rates is not None:
            self._bucket = Bucket(rates, runtime.tick())
        if self._house.pulse is not None:
            self.beat = self._house.pulse.begin(runtime)

    @property
    def inbox_full(self) -> bool:
        """Whether the reader waits for room, and does not read."""
        return self.context.mailbox.in_line > 0

    async def read(self) -> None:
        """Read until the transport is closed, or the actor has ended.

        Or until the server's own task hands over what comes, see `hear`.
        """
        transport = self.transport
        try:
            while not await transport.divert(self):
                if not await self.hear(await transport.receive()):
                    return
        except TransportClosed as closed:
            self.lost(closed.code, closed.reason)

    async def hear(self, frame: Frame) -> bool:
        """See `Listener`: False if it is being disconnected, and takes none."""
        if not (self.connected or len(self._acks)):
            return False
        try:
            await self._hear(frame)
        except ActorNotAlive:
            return False
        except Exception as error:
            # The codec's: it must not become the server's trouble.
            if self.connected:
                READ_FAILED.log(error, sid=self.sid)
                self.close(1011, "internal error")
        return True

    async def _hear(self, frame: Frame) -> None:
        """Take one message, within the rates, to where it belongs."""
        if isinstance(frame, Aside):
            await self._hear_aside(frame)
            return
        size = size_of(frame)
        bucket, beat = self._bucket, self.beat
        if (
            bucket is not None
            and (seconds := bucket.take(size, self.context.runtime.tick()))
            and not await self._passes(seconds)
        ):
            return
        try:
            packet = self._house.codec.decode(frame)
        except BadFrame as bad:
            if beat is not None:
                beat.heard = WORD
            self._strike(bad, UNREADABLE)
            return
        if isinstance(packet, Event):
            if beat is not None:
                beat.heard = WORD
            if packet.event == PING and self._answers_ping(packet):
                return
            set_weight(packet, size)
            await self.context.ref.send(packet)
            return
        if beat is not None and beat.hear_ack(packet.id):
            return
        if packet.id not in self._acks:
            self._house.count("ignored_acks")
        elif isinstance(packet, Ack):
            callback = self._acks.answered(packet.id, packet.data)
            if callback is not None:
                await self.context.ref.send(Answered(callback, packet.data, size))
        else:
            self._acks.failed(packet.id, packet.code, packet.message)

    async def _hear_aside(self, aside: Aside) -> None:
        """Take what came beside messages: each of its frames counts as one."""
        bucket = self._bucket
        if aside.endless and self.connected:
            self._house.count("oversized")
            # The server has said so, and the client may not have heard it.
            self.close(*ENDLESS)
        if bucket is None:
            return
        now, octets, wait = self.context.runtime.tick(), aside.octets, 0.0
        for _ in range(aside.frames):
            seconds = bucket.take(octets, now)
            octets = 0
            if bucket.lends:
                wait = max(wait, seconds)
            elif seconds:
                await self._passes(seconds)
        if wait:
            await self._passes(wait)

    async def _passes(self, seconds: float) -> bool:
        """A message has come *seconds* too early: whether it is handled all the same.

        Then they are over when this returns.
        """
        beat, house = self.beat, self._house
        if beat is not None:
            beat.heard = WORD
        if not self.connected:
            return False
        excess = house.options.excess
        if excess is Excess.THROTTLE:
            house.count("throttled")
            if beat is not None:
                beat.held = True
            with anyio.move_on_after(seconds):
                await self.gone.wait()
            if beat is not None:
                beat.held = False
            return True
        if excess is Excess.STRIKE:
            house.count("rate_limited")
            text = f"expected no message for {seconds:.3g} s"
            self._strike(BadFrame("rate_limited", text), TOO_MANY)
        else:
            house.count("rate_closed")
            if RATE_CLOSED.enabled:
                RATE_CLOSED.log(
                    sid=self.sid, user=self.user, address=address_of(self.scope)
                )
            self.close(*TOO_MANY)
        return False

    def _strike(self, bad: BadFrame, last: tuple[int, str]) -> None:
        """Answer *bad*, or disconnect with *last* if it is one too many."""
        if not self.connected:
            return  # of who is being seen off there may be much more to come
        house = self._house
        house.count("strikes")
        if bad.code == _TOO_LARGE:
            house.count("oversized")
        self._strikes += 1
        if self._strikes > house.options.max_strikes:
            house.count("struck_out")
            if STRUCK_OUT.enabled:
                address = address_of(self.scope)
                STRUCK_OUT.log(
                    sid=self.sid, user=self.user, address=address, cause=bad.code
                )
            self.close(*last)
            return
        # Not waited for: who does not read its errors is too slow like any other.
        self.writer.outbox.put(house.answers.to_unreadable(bad))

    def _answers_ping(self, packet: Event) -> bool:
        """Answer the client's own ping, unless that is the application's event.

        At once: however long its handlers take, the connection is alive.
        """
        house = self._house
        dispatcher = house.dispatcher
        if (
            not house.answers_unknown
            or not dispatcher.knows(packet.namespace)
            or dispatcher.find(PING, packet.namespace) is not None
        ):
            return False
        if packet.id is not None:
            self.writer.outbox.put(Outgoing(house.codec.ack(packet.id, None)))
        return True
