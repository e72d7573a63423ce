"""What happened around an adapter: guests, what was emitted, what was asked."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, suppress
from typing import Final, final

import anyio

from greenroom import (
    ActorAdapter,
    AdapterError,
    Client,
    ClientGone,
    DeadLetter,
    Options,
    Overflow,
    Undelivered,
)

from .adapter_guests import EVERYONE, Call, Emission, Guest
from .adapter_nature import Nature, number_in

SPACES: Final = ("/", "/chat")
ROOMS: Final = ("a", "b")
POLICIES: Final = (
    Overflow.STOP,
    Overflow.STOP,
    Overflow.DROP_OLD,
    Overflow.DROP_NEW,
    Overflow.CONFLATE,
)


@final
class Journal:
    """All of it."""

    def __init__(self, nature: Nature) -> None:
        rng = nature.random
        self.nature = nature
        self.options = Options(
            inbox_messages=rng.choice((1, 4, 64)),
            outbox_messages=rng.choice((2, 8, 64)),
            overflow=rng.choice(POLICIES),
            namespace_overflow=rng.choice(({}, {"/chat": rng.choice(POLICIES)})),
            drain_batch=rng.choice((1, 2, 1000)),
            send_seconds=1.0,
            handler_grace=0.5,
            disconnect_seconds=1.0,
            close_seconds=0.5,
            drain_seconds=rng.choice((0.4, 4.0)),
            ack_seconds=1.5,
            max_acks=8,
        )
        # What a full outbox may do.
        self.policies = {
            self.options.overflow,
            *self.options.namespace_overflow.values(),
        }
        self.adapter = ActorAdapter(options=self.options)
        self.guests: list[Guest] = []
        self.emissions: list[Emission] = []
        self.calls: list[Call] = []
        self.letters: list[tuple[float, DeadLetter]] = []
        # What was seen to be broken where nobody could raise.
        self.broken: list[str] = []
        # What happened, and how often: for the statistics to agree with.
        self.happened: Counter[str] = Counter()
        self.farewell: tuple[int, float] | None = None
        self.leaving: tuple[float, float] | None = None
        # How many tasks there are of the adapter's, when nobody is connected.
        self.tasks_left = 0

    @property
    def now(self) -> float:
        """Virtual time."""
        return anyio.current_time()

    def must(self, holds: object, what: str) -> None:
        """Write it down if it does not hold."""
        if not holds:
            self.broken.append(what)

    def lost(self, letter: DeadLetter) -> None:
        """A dead letter."""
        self.letters.append((self.now, letter))
        if letter.why is not Undelivered.OVERFLOW:
            return
        for guest in self.guests:
            if guest.connects and letter.recipient.endswith(guest.client.sid):
                # The last one is the one that ended it, where one did.
                guest.overflow_at, guest.overflow_by = self.now, None
                self.dropped(guest, letter.message)

    def dropped(self, guest: Guest, frame: object) -> None:
        """A full outbox has dropped *frame*; what it kept, is still there."""
        number = number_in(frame)
        if number is None:
            return
        guest.overflow_by = lost = self.emissions[number]
        news = self.policies <= {Overflow.STOP, Overflow.DROP_NEW}
        olds = len(self.policies) == 1 and not news
        for item in guest.outbox.queue:
            other = number_in(item.frame)
            if other is None or self.emissions[other].sender != lost.sender:
                continue
            kept = self.emissions[other]
            if news:
                self.must(other < number, "rule 1: the newest is dropped")
            elif olds and not lost.volatile and lost.targets == kept.targets:
                self.must(number < other, "rule 1: the oldest is dropped")

    # -- emitting ----------------------------------------------------------

    def begin(
        self, sender: str, targets: set[tuple[str, str]], skip: set[Guest]
    ) -> Emission:
        """An emission to rooms begins."""
        number = len(self.emissions)
        emission = Emission(number, sender, self.now, self.nature.steps)
        emission.targets = targets
        for guest in self.guests:
            if guest in skip or not guest.maybe & targets:
                emission.barred.add(guest)
            elif guest.rooms & targets and guest.open:
                emission.due.add(guest)
        self.emissions.append(emission)
        return emission

    def begin_to(self, sender: str, guest: Guest) -> Emission:
        """An emission to one guest begins."""
        emission = self.begin(sender, set(), set())
        emission.guest = guest
        emission.barred.discard(guest)
        return emission

    async def to_rooms(
        self,
        sender: str,
        space: str,
        rooms: list[str],
        skip: list[Guest],
        *,
        volatile: bool = False,
    ) -> None:
        """Emit to *rooms*, or to everyone."""
        targets = {(space, room) for room in rooms} or {EVERYONE}
        emission = self.begin(sender, targets, set(skip))
        emission.volatile = volatile
        emission.policy = self.policy(space, volatile)
        sids = [guest.client.sid for guest in skip if guest.connects]
        with self.timed(emission, at_once=True):
            await self.adapter.emit(
                "n",
                emission.payload,
                room=rooms or None,
                skip_sid=sids,
                namespace=space,
                volatile=volatile,
            )

    def policy(self, space: str, volatile: bool) -> Overflow:
        """What a full outbox is to do with what is emitted to rooms."""
        options = self.options
        if volatile:
            return Overflow.DROP_NEW
        return options.namespace_overflow.get(space, options.overflow)

    async def to_guest(self, sender: str, guest: Guest, how: int) -> None:
        """Emit to one *guest*, by its client or by its sid."""
        emission = self.begin_to(sender, guest)
        client, payload = guest.client, emission.payload
        # With nothing in its outbox there is room for one more.
        idle = guest.open and not guest.outbox.pending
        emission.volatile = how == 3
        if emission.volatile and guest.open:
            # Nor is there anything to wait for.
            idle = True
        with self.timed(emission, at_once=idle):
            match how:
                case 0:
                    await client.emit("n", payload)
                case 1:
                    await self.adapter.emit("n", payload, to=client.sid)
                case 3:
                    await client.emit("n", payload, volatile=True)
                case _:
                    await client.emit("question", payload, callback=self.called_back)

    def called_back(self, data: object) -> None:
        """The callback of an ack."""
        self.happened["callbacks"] += 1
        if self.nature.random.random() < 0.2:
            raise RuntimeError("called back")

    def timed(
        self, emission: Emission, *, at_once: bool
    ) -> AbstractContextManager[None]:
        """Measure what is emitted inside."""
        return _Timed(self, emission, at_once)

    async def call(self, guest: Guest, timeout: float) -> None:
        """Ask a guest, and see what becomes of it."""
        call = Call(guest, self.now)
        self.calls.append(call)
        try:
            with suppress(AdapterError):
                await guest.client.call("question", timeout=timeout)
                call.answered = True
        finally:
            call.ended_at = self.now

    # -- rooms -------------------------------------------------------------

    async def join(self, guest: Guest, client: Client, room: str) -> None:
        """Let *guest* enter a room of the client's namespace."""
        key = client.namespace, room
        guest.entered[key] = len(self.emissions)
        guest.maybe.add(key)
        with suppress(ClientGone):
            await client.join(room)
            guest.rooms.add(key)
            inside = room in client.rooms or not client.connected
            self.must(inside, "rooms: who has joined is in")

    async def leave(self, guest: Guest, client: Client, room: str) -> None:
        """Let *guest* leave a room of the client's namespace."""
        key = client.namespace, room
        guest.rooms.discard(key)
        await client.leave(room)
        if client.connected:
            self.must(room not in client.rooms, "rooms: who has left is out")
            guest.maybe.discard(key)


@final
class _Timed(AbstractContextManager[None]):
    """Around one emit."""

    def __init__(self, journal: Journal, emission: Emission, at_once: bool) -> None:
        self.journal = journal
        self.emission = emission
        self.at_once = at_once

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        journal, emission = self.journal, self.emission
        emission.ended_at = journal.now
        if error is None:
            emission.accepted = True
        elif isinstance(error, AdapterError):
            emission.accepted = False
            emission.due.clear()
        if emission.accepted is None:
            return False
        waited = journal.now - emission.at
        if emission.targets:
            journal.must(not waited, "rule 1: emit to a room waits for nobody")
        elif emission.guest is not None and emission.guest.well:
            journal.must(not waited, "rule 4: one who reads holds no emit up")
        if self.at_once and emission.accepted:
            idle = journal.nature.steps == emission.order
            journal.must(idle, "rule 2: emit does not suspend while there is room")
        once = emission.payload.encoded == 1
        journal.must(once or not emission.accepted, "rule 6: encoded once per emit")
        return not emission.accepted
