"""The nine rules of the life of a message, and what goes with them.

Each check says in its message which rule it is of: what somebody saw while it
happened is in `Journal.broken`, the rest is judged here, when all is over.

1. The registry never waits for a connection.
2. A sender can wait; emit does not suspend while there is room.
3. Order holds, from one sender to one receiver.
4. A slow handler holds up nothing that goes to its own client.
5. Inbound is bounded.
6. A payload is encoded once per emit.
7. When a client goes: grace, rooms, acks, on_disconnect once, and nothing is left.
8. When the app stops: nobody comes in, all are seen off, in time.
9. Control never waits behind data.
"""

from __future__ import annotations

import math
from collections import Counter

from greenroom import DeadLetter, Overflow, Undelivered
from greenroom.actors import KILL_GRACE

from .adapter_guests import Guest
from .adapter_journal import Journal
from .adapter_nature import number_in
from .lines import KERNEL_SECONDS, Kind

EPS = 1e-6


def hold_always(journal: Journal) -> None:
    """What must hold after every step."""
    nature, options, adapter = journal.nature, journal.options, journal.adapter

    def bounded_in() -> bool:
        # One in flight, and the greeting, which comes first.
        most = options.inbox_messages + 1
        inboxes = [guest.inbox for guest in journal.guests if guest.connects]
        return all(inbox.pending <= most for inbox in inboxes)

    def bounded_out() -> bool:
        # What is being written is no more than what may wait.
        most = 2 * options.outbox_messages + 1
        outboxes = [guest.outbox for guest in journal.guests if guest.connects]
        return all(outbox.pending <= most for outbox in outboxes)

    def in_hand() -> bool:
        # The greeting is the one that was not read.
        return all(
            guest.events_read() - (guest.inbox.accepted - 1) <= 1
            for guest in journal.guests
            if guest.connects and guest.open
        )

    def conserved() -> bool:
        statistics = adapter.statistics()
        return all(
            flow.accepted == flow.handled + flow.dead_lettered + flow.pending
            for flow in (statistics.inbound, statistics.outbound)
        )

    nature.invariant(bounded_in, "rule 5: the inbox is bounded")
    nature.invariant(in_hand, "rule 5: who cannot go on does not read on")
    nature.invariant(bounded_out, "rule 2: the outbox is bounded")
    nature.invariant(conserved, "conservation: the statistics add up")


def check_all(journal: Journal, *, running: bool) -> None:
    """Everything, when all guests have gone.

    Args:
        journal: What happened.
        running: Whether the adapter still runs.
    """
    assert not journal.broken, journal.broken[0]
    assert not journal.tasks_left, f"nothing is left: {journal.tasks_left} tasks"
    check_statistics(journal, running=running)
    letters = sort_letters(journal)
    for guest in journal.guests:
        line = guest.line
        assert not line.broken, f"the transport: {line.broken[0]}"
        assert guest.served_at is not None
        check_order(journal, guest)
        check_answers(guest)
        check_end(journal, guest)
        if guest.connects:
            check_conservation(guest, letters)
    check_delivery(journal, letters)
    check_calls(journal)
    check_drain(journal)


Letters = dict[str, list[tuple[float, DeadLetter]]]


def sort_letters(journal: Journal) -> Letters:
    """Dead letters by the sid they were for."""
    letters: Letters = {}
    for at, letter in journal.letters:
        sid = letter.recipient.rpartition("/")[2]
        letters.setdefault(sid, []).append((at, letter))
    return letters


def check_delivery(journal: Journal, letters: Letters) -> None:
    """Rules 1, 2 and 4: everyone whom it is due gets it, once, and at once."""
    options = journal.options
    for guest in journal.guests:
        if not guest.connects:
            continue
        got = Counter[int]()
        for at, fields in guest.line.took:
            number = number_in(fields)
            if number is None:
                continue
            got[number] += 1
            emission = journal.emissions[number]
            known = guest not in emission.barred or any(
                guest.entered.get(target, -1) >= number for target in emission.targets
            )
            assert known, "rooms: who is not in gets nothing"
            if guest.well and emission.targets:
                assert at == emission.at, "rules 1 and 4: who reads is not kept waiting"
        dead = Counter[int | None]()
        unwritten = set[int]()
        for fields in guest.line.swallowed:
            dead[number_in(fields)] += 1
        mine = letters.get(guest.client.sid, [])
        # Kicked or not, if its outbox overflows meanwhile the rest is dropped.
        stops = Overflow.STOP in journal.policies and guest.overflow_at >= 0
        given_up = stops or (guest.byes and guest.byes[0][1] == 1013)
        # A slow one that was kicked is still written to for a while.
        patient = guest.line.kind is Kind.SLOW and not given_up
        patient = patient and guest.left_at == math.inf
        for at, letter in mine:
            number = number_in(letter.message)
            if number is None:
                continue
            dead[number] += 1
            if letter.why not in (Undelivered.OVERFLOW, Undelivered.NO_RECIPIENT):
                unwritten.add(number)
            if patient and guest.kicked and letter.why is Undelivered.STOPPED:
                assert guest.end_at is not None
                waited = at >= guest.end_at + options.close_seconds - EPS
                assert waited, "rule 8: what was emitted before has some time"
            direct = journal.emissions[number].guest is guest
            old = journal.policies & {Overflow.DROP_OLD, Overflow.CONFLATE}
            if direct and not old and not journal.emissions[number].volatile:
                why = letter.why is not Undelivered.OVERFLOW
                assert why, "rule 2: who waits for room is not dropped"
        for emission in journal.emissions:
            number = emission.number
            times = got[number] + dead[number]
            assert times <= 1, "delivery: nobody gets anything twice"
            here = guest.well and not given_up and emission.at < guest.left_at
            if here and guest in emission.due:
                assert times == 1, "delivery: everyone gets it, or a dead letter"
            if here:
                written = number not in unwritten
                assert written, "rule 8: what was emitted before comes before the end"
            if emission.guest is guest and emission.accepted:
                assert times == 1, "rule 2: what was accepted arrives, or is a letter"
            end = guest.ended_by(options.send_seconds)
            if emission.guest is guest and emission.ended_at and end is not None:
                free = max(end, emission.at)
                assert emission.ended_at <= free + EPS, "rule 2: who waits is let go"
            if emission.guest is guest and emission.accepted is False:
                assert not got[number], "rule 2: what was refused does not arrive"


def check_order(journal: Journal, guest: Guest) -> None:
    """Rule 3: in the order sent; a dropped frame leaves a gap, and no more."""
    latest: dict[str, int] = {}
    for _, fields in guest.line.took:
        number = number_in(fields)
        if number is not None:
            sender = journal.emissions[number].sender
            assert latest.get(sender, -1) < number, "rule 3: in the order sent"
            latest[sender] = number


def check_answers(guest: Guest) -> None:
    """Who asked for an ack gets one, if it is there to get it."""
    for id, count in guest.answered.items():
        assert count <= guest.asked[id], "acks: one answer to a question"
    end = guest.ended_by(0.0)
    keeps_up = guest.line.kind in (Kind.OK, Kind.DROPPED, Kind.RAISING)
    lost = guest.line.swallowed or (guest.byes and guest.outbox.dead_lettered)
    if keeps_up and guest.byes and not lost and end is not None:
        end = min(end, guest.byes[0][0], guest.left_at)
        if guest.line.goodbye is not None:
            end = min(end, guest.line.goodbye[2])
        # At the very end the answer may come too late.
        for id, at in guest.done.items():
            if id in guest.asked and at < end:
                assert guest.answered[id] == 1, "acks: who asked is answered"


def check_conservation(guest: Guest, letters: Letters) -> None:
    """Accepted = handled + dead-lettered, and each dead letter is a letter."""
    for name, box in (("inbox", guest.inbox), ("outbox", guest.outbox)):
        assert box.accepted == box.handled + box.dead_lettered + box.pending, (
            f"conservation: the {name} adds up"
        )
        assert not box.pending, f"conservation: nothing is left in the {name}"
    mine = [
        letter
        for _, letter in letters.get(guest.client.sid, [])
        if letter.why is not Undelivered.NO_RECIPIENT
    ]
    dead = guest.inbox.dead_lettered + guest.outbox.dead_lettered
    assert len(mine) == dead, "conservation: nothing is lost without a dead letter"
    written = len(guest.line.took) + len(guest.line.swallowed)
    assert guest.outbox.handled == written, "delivery: handled is written"
    # The greeting is handled, and was not read.
    read = len(guest.line.heard)
    assert guest.inbox.handled <= read + 1, "conservation: what is handled was read"


def check_end(journal: Journal, guest: Guest) -> None:
    """Rules 7 and 9: seen off once, with the right words, and in time."""
    options, line = journal.options, guest.line
    admitted = guest.connects and not guest.rejected
    assert guest.connects <= 1, "rule 7: on_connect once"
    assert len(guest.byes) == bool(admitted), "rule 7: on_disconnect once for each"
    if not admitted:
        return
    at, code, reason = guest.byes[0]
    assert code is not None, "rule 7: on_disconnect knows the reason"
    if guest.kicked is not None:
        assert code in (guest.kicked, 1013), f"rule 7: kicked, not {code}"
    else:
        assert code in allowed_codes(journal, guest), f"rule 7: no reason for {code}"
    if line.goodbye is not None:
        told = line.goodbye[:2] == (code, reason)
        assert told, "rule 7: the peer is told what the handler is"
        if guest.well and guest.kicked == code:
            assert line.goodbye[2] == guest.end_at, "rule 9: a kick is heard at once"
    end = guest.ended_by(options.send_seconds)
    assert end is not None, "rule 7: nobody goes without a cause"
    if guest.well and guest.left_at > (at if guest.vague else end):
        assert line.goodbye is not None, "rule 8: who is seen off is told so"
    if "pending" in reason and guest.overflow_by is not None:
        policy = guest.overflow_by.policy
        assert policy is Overflow.STOP, f"rule 1: {policy} stops nobody"
    late = at - end
    most = options.handler_grace + KILL_GRACE
    assert late <= most + EPS, f"rule 7: on_disconnect came {late} s after the end"
    if not guest.stubborn and not guest.vague:
        free = max(end, guest.busy_at)
        assert at <= free + EPS, "rule 9: who is idle is seen off at once"
    if code == 1013 and line.stuck_at is not None:
        told = line.aborted_at is not None and line.aborted_at <= at + EPS
        assert told or guest.kicked or end < line.stuck_at + 1, "rule 7: aborted"
    assert guest.served_at is not None
    # The last handler, the last frames, and the server's own patience.
    most += options.disconnect_seconds + 2 * options.close_seconds + KILL_GRACE
    if line.kind is Kind.HALF_DEAD and not line.heeds and not line.aborts:
        most += KERNEL_SECONDS
    late = guest.served_at - end
    assert late <= most + EPS, f"rule 7: gone {late} s after the end"
    for cancelled in guest.cancelled:
        patience = cancelled - end
        grace = options.handler_grace
        short = patience < grace - EPS and not guest.vague
        assert not short, f"rule 7: a handler had {patience} s of grace"
        if not guest.stubborn:
            assert patience <= grace + EPS, f"rule 7: and not {patience} s"


def allowed_codes(journal: Journal, guest: Guest) -> set[int]:
    """With what it may have ended."""
    codes = set(guest.causes)
    if journal.farewell is not None:
        codes.add(journal.farewell[0])
    if Overflow.STOP in journal.policies or guest.line.kind is Kind.HALF_DEAD:
        codes.add(1013)
    if guest.line.kind is Kind.RAISING:
        codes |= {1001, 1006}
    if guest.line.kind is Kind.HALF_DEAD:
        codes.add(1006)
    return codes


def check_calls(journal: Journal) -> None:
    """Rule 7: who waits for one who goes is told."""
    for call in journal.calls:
        assert call.ended_at is not None, "rule 7: every call ends"
        if call.guest.byes:
            gone = max(call.guest.byes[0][0], call.at)
            assert call.ended_at <= gone + EPS, "rule 7: calls fail when one goes"


def check_drain(journal: Journal) -> None:
    """Rule 8: in time, whoever is there."""
    options = journal.options
    if journal.leaving is not None:
        began, ended = journal.leaving
        # What is not over by then, is over when the connections' own time is.
        most = options.drain_seconds + options.handler_grace + 2 * KILL_GRACE
        most += options.disconnect_seconds + options.close_seconds
        held = any(
            not guest.line.heeds and guest.line.kind is Kind.HALF_DEAD
            for guest in journal.guests
        )
        if held:
            most += KERNEL_SECONDS
        assert ended - began <= most + EPS, f"rule 8: it took {ended - began} s"


def check_statistics(journal: Journal, *, running: bool) -> None:
    """The statistics agree with what happened."""
    statistics, guests = journal.adapter.statistics(), journal.guests
    met = [guest for guest in guests if guest.connects]
    assert not statistics.connections, "nothing is left: connections"
    assert not statistics.rooms, "nothing is left: rooms"
    registry = journal.adapter._server.registry  # pyright: ignore[reportPrivateUsage]  # nothing public tells
    assert not registry.sizes(), "nothing is left: members"
    assert statistics.draining or running
    assert not statistics.inbound.pending, "statistics: pending"
    assert not statistics.outbound.pending, "statistics: pending"
    rejected = sum(guest.rejected for guest in guests)
    assert statistics.rejected == rejected, "statistics: rejected"
    assert statistics.connections_total >= len(met), "statistics: connections"
    refused = sum(guest.line.refused is not None for guest in guests)
    assert statistics.refused >= refused, "statistics: refused"
    why = Counter(letter.why for _, letter in journal.letters)
    dropped = statistics.dropped + statistics.overflows
    assert dropped == why[Undelivered.OVERFLOW], "statistics: dropped"
    unknown = statistics.unknown_recipients
    assert unknown == why[Undelivered.NO_RECIPIENT], "statistics: unknown recipients"
    errors = journal.happened["handler errors"]
    assert statistics.handler_errors == errors, "statistics: handler errors"
    strikes = sum(guest.line.unreadable for guest in guests)
    assert statistics.strikes == strikes, "statistics: strikes"
    names = ["accepted"]
    if all(guest.line.heeds and not guest.stubborn for guest in met):
        # What does not end with its client, counts as lost by then.
        names += ["handled", "dead_lettered"]
    for name in names:
        for flow, boxes in (
            (statistics.inbound, [guest.inbox for guest in met]),
            (statistics.outbound, [guest.outbox for guest in met]),
        ):
            total = sum(getattr(box, name) for box in boxes)
            assert getattr(flow, name) >= total, f"statistics: {name}"
