"""Pulse: who is still there.

A client that has been silent for a while is sent an event that asks for an ack,
``ping`` in the root namespace; any message of it is answer enough.  It works on
every transport, and tells what TCP may not find out for hours.

One round over all clients every so often, and no clock: silence is counted in
rounds.  So a message costs its client's reader one assignment, and the time for
which this process was stopped is held against nobody, since it is one round.
Everything may so come one round late, and nothing early.

Of a client that is not read, for it is throttled or its inbox is full, no answer is
expected.  It is pinged all the same, whatever was heard of it: one that has left is
found out by writing to it, and by nothing else until all it ever sent is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, final

from anyio.lowlevel import checkpoint

from ..actors import Runtime
from ._alarm import ring_after
from ._codec import Codec
from ._dispatcher import ROOT
from ._events import IDLE_FOR, UNANSWERED
from ._options import Options
from ._outgoing import Outgoing
from ._writer import Writer

PING = "ping"
"""The event, both ways."""

NO_ANSWER = 3008, "no answer to a ping"
IDLE = 3008, "idle"

# What a reader has heard since the last round.
_NOTHING, _PONG, WORD = 0, 1, 2

# Of the shortest of the deadlines: all are kept to within this part of it.
_ROUNDS = 8
_SHORTEST = 0.01

# Clients between checkpoints.
_AT_ONCE = 256

# Rounds in a row in which those are pinged who are not read.  The first write makes
# the kernel of one that has left say so; the second fails, of which asyncio tells
# nobody; so does the third.
_CALLS = 3


@final
class Beat:
    """What is known of the silence of one client.

    Attributes:
        heard: What its reader has heard since the last round; `WORD` if anything
            but the answer to a ping.
        held: Whether its reader is made to wait, by the rates.
    """

    __slots__ = ("heard", "held", "idle", "overdue", "ping", "silent")

    def __init__(self) -> None:
        # That it has come counts: the first round may be about to begin.
        self.heard = WORD
        self.held = False
        # For how many rounds there was nothing, and nothing but answers.
        self.silent = 0
        self.idle = 0
        # The id of pings, once there was one, and the silence by which the latest
        # must be answered.
        self.ping: int | None = None
        self.overdue = math.inf

    def hear_ack(self, id: int) -> bool:
        """An ack has come; whether it answers a ping."""
        if id != self.ping:
            self.heard = WORD
            return False
        if not self.heard:
            self.heard = _PONG
        return True


class Patient(Protocol):
    """A connection."""

    sid: str
    beat: Beat | None
    is_set_up: bool
    writer: Writer

    @property
    def connected(self) -> bool:
        """Whether messages can still be sent to it."""
        ...

    @property
    def inbox_full(self) -> bool:
        """Whether its reader waits for room, and does not read."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Disconnect."""
        ...


@final
class Pulse:
    """The rounds over all clients of one adapter, as long as it has any.

    Args:
        options: How long who may be silent.
        patients: The clients, by sid.
        codec: Makes the ping.
        next_id: Makes its id.
        count: Counts something that happened.
    """

    def __init__(
        self,
        options: Options,
        patients: Mapping[str, Patient],
        codec: Codec,
        next_id: Callable[[], int],
        count: Callable[[str], None],
    ) -> None:
        self._patients = patients
        self._codec = codec
        self._next_id = next_id
        self._count = count
        deadlines = [options.idle_seconds]
        if options.ping_seconds:
            deadlines += [options.ping_seconds, options.pong_seconds]
        shortest = min(seconds for seconds in deadlines if seconds)
        self._seconds = max(shortest / _ROUNDS, _SHORTEST)
        self._ping_after = self._rounds(options.ping_seconds)
        self._idle_after = self._rounds(options.idle_seconds)
        self._pong_within = max(1, math.ceil(options.pong_seconds / self._seconds))
        self._runtime: Runtime | None = None
        # How many rounds there were, and how many of them are left in which those
        # are pinged who are not read.
        self._number = 0
        self._calls = 0
        # Always the same: an answer that comes late is an answer.
        self._ping: Outgoing | None = None

    def _rounds(self, seconds: float) -> float:
        return math.ceil(seconds / self._seconds) if seconds else math.inf

    def begin(self, runtime: Runtime) -> Beat:
        """Make the rounds from now on, for there is a client; its beat."""
        if self._runtime is not runtime:
            self._runtime = runtime
            self._wait(runtime)
        return Beat()

    def _wait(self, runtime: Runtime) -> None:
        ring_after(
            runtime, self._seconds, lambda: runtime.start_task(self._round, runtime)
        )

    async def _round(self, runtime: Runtime) -> None:
        self._number += 1
        if self._number >= self._ping_after:
            self._number, self._calls = 0, _CALLS
        try:
            for number, patient in enumerate(tuple(self._patients.values()), 1):
                if patient.beat is not None and patient.is_set_up and patient.connected:
                    self._look_at(patient, patient.beat)
                if number % _AT_ONCE == 0:
                    await checkpoint()
        finally:
            # Also when somebody has cancelled this task natively.
            self._calls -= 1
            if self._patients:
                self._wait(runtime)
            else:
                self._runtime = None

    def _look_at(self, patient: Patient, beat: Beat) -> None:
        heard, beat.heard = beat.heard, _NOTHING
        if beat.held or patient.inbox_full:
            # What it says is not read: the silence is ours, and the missing answer.
            heard = WORD
            if self._calls > 0:
                self._send_ping(patient, beat)
        if heard:
            beat.silent, beat.overdue = 0, math.inf
        else:
            beat.silent += 1
        beat.idle = 0 if heard == WORD else beat.idle + 1
        if beat.idle >= self._idle_after:
            self._count("idle")
            IDLE_FOR.log(sid=patient.sid)
            patient.close(*IDLE)
        elif beat.silent >= beat.overdue:
            self._count("unanswered")
            UNANSWERED.log(sid=patient.sid)
            patient.close(*NO_ANSWER)
        elif (
            beat.silent >= self._ping_after
            and beat.overdue == math.inf
            and self._send_ping(patient, beat)
        ):
            beat.overdue = beat.silent + self._pong_within

    def _send_ping(self, patient: Patient, beat: Beat) -> bool:
        if self._ping is None:
            id = self._next_id()
            frame = self._codec.event(PING, None, ROOT, id)
            self._ping = Outgoing(frame, id=id, volatile=True)
        outbox = patient.writer.outbox
        # Where it is full, the deadline of its write will tell.
        if not outbox.has_room(self._ping):
            return False
        beat.ping = self._ping.id
        self._count("pings")
        outbox.put(self._ping)
        return True


def pulse_of(
    options: Options,
    patients: Mapping[str, Patient],
    codec: Codec,
    next_id: Callable[[], int],
    count: Callable[[str], None],
) -> Pulse | None:
    """What makes the rounds; None if *options* ask for none."""
    if not options.ping_seconds and not options.idle_seconds:
        return None
    return Pulse(options, patients, codec, next_id, count)


def patience_of(options: Options) -> float | None:
    """For how long the kernel may wait for a peer that answers nothing, not even TCP.

    Who is pinged is written to, so it will find out.  None: as it likes.
    """
    if not options.ping_seconds:
        return None
    return max(options.ping_seconds + options.pong_seconds, options.send_seconds)
