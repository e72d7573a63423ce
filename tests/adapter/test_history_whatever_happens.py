"""A client that keeps its position, whatever happens at the same time."""

from __future__ import annotations

import itertools
import json

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.testing import connect_raw

from .lobby import Position, Room, since

pytestmark = pytest.mark.anyio


class Guest:
    """A client that keeps its position, and what it was told."""

    def __init__(self, room: Room, kept: int) -> None:
        self.room = room
        self.kept = kept
        self.position: Position | None = None
        # What it knows: every number, or what it has seen after a loss.
        self.known: list[int] = []
        self.losses = 0

    async def stay(self, frames: int) -> None:
        """Connect, come back to where it was, read some, and vanish."""
        async with connect_raw(self.room.adapter, max_frames=2) as peer:
            await peer.send(
                json.dumps({"event": "join", "data": self.position, "id": 1})
            )
            # Before the ack there is only what it missed, or what is newer than the
            # position that the ack will tell of.
            early: list[int] = []
            while True:
                frame = json.loads(await peer.receive())
                if "ack" in frame:
                    break
                early.append(frame["offset"])
            answer = frame["data"]
            if self.position is not None and answer["recovered"]:
                self.take(early)
            else:
                # It loads what is before the last messages, which it is given.
                self.losses += self.position is not None
                newest = answer["offset"]
                last = sum(offset <= newest for offset in early)
                assert last == min(self.room.recent, self.kept, newest)
                self.known = list(range(1, newest - last + 1))
                self.take(early)
            self.position = since(answer, self.known[-1] if self.known else 0)
            for _ in range(frames):
                with anyio.move_on_after(1):
                    self.take([json.loads(await peer.receive())["offset"]])
                self.position["offset"] = self.known[-1] if self.known else 0

    def take(self, offsets: list[int]) -> None:
        """Each once, and in order."""
        for offset in offsets:
            last = self.known[-1] if self.known else 0
            assert offset == last + 1, (self.known, offsets)
            self.known.append(offset)


MOST = 60

# For each stay: seconds before it, passes of the loop, messages that it reads.
STAYS = st.lists(
    st.tuples(st.sampled_from([0, 0, 1]), st.integers(0, 6), st.integers(0, 4)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    stays=st.tuples(STAYS, STAYS, STAYS),
    bursts=st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1]), st.integers(1, 2), st.integers(0, 5)),
        min_size=1,
        max_size=8,
    ),
    kept=st.sampled_from([1, 5, 100]),
    recent=st.sampled_from([0, 0, 3, 100]),
)
async def test_nobody_who_keeps_its_position_misses_anything(
    stays: tuple[list[tuple[int, int, int]], ...],
    bursts: list[tuple[int, int, int]],
    kept: int,
    recent: int,
) -> None:
    """Any interleaving of emits, joins and ends; or it is told that it does."""
    async with Room(history_messages=kept).running() as room:
        room.recent = recent
        guests = [Guest(room, kept) for _ in stays]

        async def visit(guest: Guest, steps: list[tuple[int, int, int]]) -> None:
            for seconds, passes, count in steps:
                await anyio.sleep(seconds)
                for _ in range(passes):
                    await anyio.lowlevel.checkpoint()
                await guest.stay(count)

        async def speak() -> None:
            for seconds, count, passes in itertools.cycle(bursts):
                await anyio.sleep(seconds)
                await room.say(count)
                for _ in range(passes):
                    await anyio.lowlevel.checkpoint()
                if room.said >= MOST:
                    return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak)
            for guest, steps in zip(guests, stays, strict=True):
                tasks.start_soon(visit, guest, steps)
        for guest in guests:
            await guest.stay(0)
            assert guest.known == list(range(1, room.said + 1))
            if kept > MOST:
                assert guest.losses == 0
