"""Writer: drains one mailbox, the outbox, into one transport.

It alone writes to the transport: at once, in the midst of whoever sends, as long
as the transport takes what there is; else in a task, which is there only while
there is something to wait for.  Where the transport takes nothing at once, a courier
comes for it, or on Trio the task stays.  Control comes through the system lane of the
outbox, so an order to finish never waits behind data.  Nobody waits for a write
without end: a write past its deadline makes the client a stalled one; see `_watch`.

Every frame that was accepted ends as written or as a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import anyio
from anyio.lowlevel import checkpoint

from ..actors import (
    NO_QUEUE,
    NOTHING,
    Batch,
    DeadLetter,
    Gate,
    Mailbox,
    MailboxOptions,
    Overflow,
    Runtime,
    Undelivered,
)
from ._acks import Acks
from ._addressee import STALLED, TOO_LARGE, TOO_MANY, Addressee
from ._couriers import Couriers
from ._events import WRITE_FAILED
from ._outbox import AT_REST, Outbox
from ._outgoing import Outgoing, piece_of
from ._transport import Transport, TransportClosed
from ._watch import Watch

_NOTHING_IN_HAND: Iterator[Outgoing] = iter(())

# Frames between checkpoints: writing may never yield by itself.
_FRAMES_PER_TURN = 32

# A courier that had to wait stays, for it would have to the next time; and looks every
# so many times whether that is still so.
_LOOK_EVERY = 16


@final
@dataclass(frozen=True, slots=True)
class _Finish:
    """System message: write the rest, say goodbye, end."""

    code: int
    reason: str


@final
class Writer:
    """The outbox of one client and the task that empties it.

    Args:
        path: Path of the connection, for dead letters.
        addressee: Who is told what becomes of it.
        couriers: Who write where the transport takes nothing at once, if not a task
            of its own.
    """

    __slots__ = (
        "_abandoned",
        "_acks",
        "_addressee",
        "_couriers",
        "_finishing",
        "_in_hand",
        "_path",
        "_running",
        "_runtime",
        "_scope",
        "_send_seconds",
        "_transport",
        "_waited",
        "_watch",
        "ended",
        "outbox",
    )

    def __init__(
        self,
        path: str,
        transport: Transport,
        acks: Acks,
        runtime: Runtime,
        bounds: MailboxOptions,
        send_seconds: float,
        addressee: Addressee,
        couriers: Couriers | None = None,
    ) -> None:
        self._path = path
        self._transport = transport
        self._acks = acks
        self._runtime = runtime
        self._send_seconds = send_seconds
        self._addressee = addressee
        self._couriers = None if transport.direct else couriers
        self.outbox: Outbox[Outgoing] = Outbox(
            bounds, self, runtime.parker, enveloped=False, wake=self._wake
        )
        # What the courier is to write who was called; in the outbox it is aside.
        self._in_hand: Iterator[Outgoing] = _NOTHING_IN_HAND
        self.ended = Gate(runtime.parker)
        # There as long as a task of its own is, or a courier that has to wait.
        self._watch: Watch | None = None
        self._scope: anyio.CancelScope | None = None
        self._running = False  # whether there is a task that writes
        self._waited = False  # whether that has had to wait
        self._finishing = False  # nothing more is accepted
        self._abandoned = False  # nothing more is written either

    def start(self) -> None:
        """Be ready to write."""
        self._rest()

    def _rest(self) -> None:
        """There is nothing to do: whoever puts something in calls `_wake`."""
        if self.outbox.queue is not NO_QUEUE:
            self.outbox.rest()
        self.outbox.parked = AT_REST

    def finish(self, code: int, reason: str, *, drop: bool = False) -> None:
        """Accept nothing more; write what was accepted, then close.

        Args:
            code: The close code.
            reason: Words for the client.
            drop: Let go of what waits instead of writing it; its memory is free
                when this returns.
        """
        if self._finishing:
            return
        self._finishing = True
        self.outbox.close()
        if drop:
            self._bury_rest()
        self.outbox.put_system(_Finish(code, reason))

    def abandon(self) -> None:
        """Drop everything and end: the peer is gone, or is given up."""
        self._finishing = True
        self.outbox.close()
        self._abandoned = True
        self._bury_rest()
        if self._scope is not None:
            self._scope.cancel()
        elif not self._running:
            self.ended.open()

    def write_through(self, message: Outgoing) -> bool:
        """Write *message* here and now, with nothing before it; see `Outbox`."""
        if self._couriers is not None:
            return self._hand_over((message,), self._couriers) == 1
        if not self._transport.try_send(message):
            return False
        if message.callback is not None:
            self._expect_ack(message)
        self._taken(1, message)
        return True

    def write_all_through(self, batch: Batch) -> int:
        """Write messages of *batch* here and now, in one piece; see `Outbox`."""
        piece = piece_of(batch)
        if piece is None:
            return 0
        if self._couriers is not None:
            return self._hand_over(piece.messages, self._couriers)
        taken = self._transport.try_send_all(piece)
        if taken:
            for message in piece.messages[:taken] if piece.asks else ():
                self._expect_ack(message)
            self._taken(taken, piece.messages[taken - 1])
        return taken

    def _hand_over(self, messages: Sequence[Outgoing], couriers: Couriers) -> int:
        """Have a courier write *messages*; return how many.

        As with a wire they are on their way from here on, and take no room.
        """
        if self._runtime.closing:
            return 0
        outbox = self.outbox
        number = len(messages)
        if number > outbox.options.capacity:
            number = outbox.options.capacity
            messages = messages[:number]
        outbox.accepted += number
        outbox.aside += number
        outbox.parked = None
        self._in_hand = iter(messages)
        self._running = True
        couriers.write_for(self)
        return number

    def _taken(self, number: int, last: Outgoing) -> None:
        """The transport has taken *number* messages, the *last* perhaps in part."""
        outbox = self.outbox
        outbox.accepted += number
        outbox.handled += number
        if self._transport.unsent:
            outbox.handled -= 1
            outbox.current = last
            outbox.parked = None
            self._start()

    def _wake(self, outbox: Mailbox[Outgoing]) -> None:
        """Something has come while nobody wrote.

        It is written here, in the midst of whoever sends and without a switch of
        tasks, as far as the transport takes it at once.
        """
        if outbox.parked is not AT_REST:
            # There is a task: such a transport takes nothing at once.
            self._runtime.parker.unpark(outbox)
            return
        outbox.parked = None
        if not outbox.system and not self._abandoned and self._write_now():
            self._rest()
        else:
            self._start()

    def _start(self) -> None:
        """There is something to wait for: have a task for it."""
        if self._runtime.closing:
            self._end()
        else:
            self._running = True
            if self._couriers is None:
                self._runtime.start_task(self._run)
            else:
                self._couriers.write_for(self)

    def _write_now(self) -> bool:
        """Write all that waits; False if the transport does not take all of it.

        Room that comes free lets others in, who find nobody asleep: what they
        bring is written here as well.
        """
        outbox, transport = self.outbox, self._transport
        while outbox.queue:
            if not transport.try_send(outbox.queue[0]):
                return False
            self._expect_ack(outbox.take())
            if transport.unsent:
                return False
            outbox.done()
        return True

    def _expect_ack(self, item: Outgoing) -> None:
        if item.callback is not None and item.id is not None:
            self._acks.call_back(item.id, item.callback, item.seconds)

    async def _run(self) -> None:
        self.held_up()
        with anyio.CancelScope() as scope:
            await self.write(scope)

    def held_up(self) -> None:
        """See `Writes`: from now on each write has a deadline."""
        if self._running and self.outbox.parked is None:
            self._waited = True
            if self._watch is None:
                self._watch = Watch(self._runtime, self._send_seconds, self._too_late)
            self._watch.begin()

    async def write(self, scope: anyio.CancelScope) -> None:
        """See `Writes`."""
        ended = True
        self._waited = False
        outbox, send = self.outbox, self._transport.send
        self._scope = scope
        try:
            # Where a courier comes, mostly that is all.
            for item in self._in_hand:
                outbox.aside -= 1
                outbox.current = item
                if item.callback is not None:
                    self._expect_ack(item)
                if self._watch is not None:
                    self._watch.begin()
                await send(item.frame)
                outbox.current = NOTHING
                outbox.handled += 1
            if not self._abandoned:
                stays = self._couriers is None or self._waited
                more = stays or outbox.queue or outbox.system
                ended = bool(more) and await self._write_all()
        except TransportClosed as closed:
            self._lose(closed.code, closed.reason)
        except self._runtime.parker.cancelled:
            if self._runtime.closing or scope.cancel_called:
                raise
            # A native Task.cancel().
            self._runtime.parker.absorb()
            self._lose(1006)
        except Exception as error:
            WRITE_FAILED.log(error, path=self._path)
            self._lose(1006)
        finally:
            self._scope = None
            self._running = False
            if self._watch is not None:
                self._watch.settle()
                self._watch = None
            # Abandoned as it awoke, there was nothing left for it to see.
            if ended or self._abandoned:
                self._end()
            else:
                self._rest()

    def _lose(self, code: int, reason: str = "") -> None:
        # The task has come out of it by itself, and may go on to others.
        self._scope = None
        self._addressee.lost(code, reason)

    def _end(self) -> None:
        if self.outbox.current is not NOTHING:
            self._bury(self.outbox.lose(), Undelivered.CANCELLED)
        self.abandon()

    async def _write_all(self) -> bool:
        """Write what there is; return whether that was all there will be."""
        outbox = self.outbox
        direct, send = self._transport.direct, self._transport.send
        couriers, calls = self._couriers, 0
        finish: _Finish | None = None
        turn = 0
        while True:
            if outbox.current is not NOTHING:
                # Taken above, and not yet written to its end.
                self._begin()
                await self._transport.flush()
                outbox.done()
            elif outbox.system:
                order = outbox.system.popleft()
                assert isinstance(order, _Finish)
                finish = order
            elif outbox.queue:
                # take() and done(), written out as in the loop of actors.
                outbox.current = item = outbox.queue.popleft()
                if len(outbox.queue) < outbox.low:
                    outbox.taken()
                if item.callback is not None:
                    self._expect_ack(item)
                if self._watch is not None:
                    self._watch.begin()
                await send(item.frame)
                outbox.current = NOTHING
                outbox.handled += 1
                turn += 1
                if turn == _FRAMES_PER_TURN:
                    turn = 0
                    self._pause()
                    await checkpoint()
            elif finish is not None:
                break
            elif direct or (couriers is not None and not self._waited):
                # No need of a task before the next time that it has to wait.
                return False
            else:
                turn = 0
                self._pause()
                outbox.rest()
                await self._runtime.parker.park(outbox)
                calls += 1
                if couriers is not None and calls % _LOOK_EVERY == 0:
                    self._waited = False
                    couriers.look_after(self)
        self._begin()
        await self._transport.close(finish.code, finish.reason)
        return True

    def _begin(self) -> None:
        if self._watch is not None:
            self._watch.begin()

    def _pause(self) -> None:
        if self._watch is not None:
            self._watch.end()

    def _too_late(self) -> None:
        self._addressee.too_slow(STALLED)

    def _bury_rest(self) -> None:
        for item in self._in_hand:
            self.outbox.aside_lost()
            self._bury(item, Undelivered.STOPPED)
        for item in self.outbox.drain():
            self._bury(item, Undelivered.STOPPED)

    def _bury(self, item: object, why: Undelivered) -> None:
        assert isinstance(item, Outgoing)
        self._runtime.dead_letters.publish(DeadLetter(item.frame, self._path, why))

    # -- what the outbox reports, see actors.MailboxOwner ------------------

    def dropped(self, message: object, overflow: Overflow) -> None:
        """*message* was dropped by policy."""
        if overflow is not Overflow.STOP:
            self._addressee.count("dropped")
        # A closed outbox has no policy: there, a promise could not be kept.
        closed = self.outbox.closed
        self._bury(message, Undelivered.STOPPED if closed else Undelivered.OVERFLOW)

    def overflowed(self) -> None:
        """The outbox is full and its policy is to disconnect."""
        outbox = self.outbox
        many = len(outbox.queue) + outbox.promised >= outbox.options.capacity
        self._addressee.too_slow(TOO_MANY if many else TOO_LARGE)

    def level_changed(self, level: int) -> None:
        """A watermark was passed."""
