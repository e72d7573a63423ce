"""Who waits for room gets it in turn; what was promised has its room at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from greenroom import MailboxOptions, Overflow
from greenroom.actors import Mailbox
from greenroom.actors._line import Sender
from greenroom.actors._parking import running_parker
from greenroom.testing._clock import wait_idle

from .kit import Owner, balanced, first, mailbox_of

pytestmark = pytest.mark.anyio


# -- waiting for room ------------------------------------------------------


async def line_up(mailbox: Mailbox[Any], message: object, admitted: list[Any]) -> None:
    sender = mailbox.wait_for_room(message)
    if sender is None or await mailbox.wait_in_line(sender):
        admitted.append(message)


@asynccontextmanager
async def lined_up(mailbox: Mailbox[Any], message: object) -> AsyncGenerator[list[Any]]:
    """Line up beside the block, which begins while that waits; who was let in."""
    admitted: list[Any] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line_up, mailbox, message, admitted)
        await wait_idle()
        yield admitted


async def within(
    scope: anyio.CancelScope,
    mailbox: Mailbox[Any],
    message: object,
    admitted: list[Any],
) -> None:
    with scope:
        await line_up(mailbox, message, admitted)


def on_loop(owner: Owner | None = None, **options: Any) -> Mailbox[Any]:
    return Mailbox(MailboxOptions(**options), owner or Owner(), running_parker())


async def test_senders_are_let_in_in_the_order_in_which_they_came() -> None:
    mailbox = on_loop(capacity=1)
    admitted: list[Any] = []
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(line_up, mailbox, number, admitted)
            await wait_idle()
        assert admitted == [0]
        for number in range(4):
            assert mailbox.take() == number
            mailbox.done()
            await wait_idle()

    assert admitted == [0, 1, 2, 3]
    assert balanced(mailbox)


async def test_nobody_overtakes_those_in_line() -> None:
    mailbox = on_loop(weigh=len, max_weight=10)
    admitted: list[Any] = []
    async with anyio.create_task_group() as tasks:
        mailbox.put("x" * 5)
        tasks.start_soon(line_up, mailbox, "y" * 10, admitted)
        await wait_idle()
        # Light enough for the room that there is, but not in its turn.
        assert not mailbox.put("z")
        assert not mailbox.has_room("z")
        assert not mailbox.promise("z")
        tasks.start_soon(line_up, mailbox, "w", admitted)
        await wait_idle()
        assert admitted == []
        mailbox.take()
        await wait_idle()
        assert admitted == ["y" * 10]
        mailbox.take()

    assert admitted == ["y" * 10, "w"]


async def test_one_who_gives_up_lets_those_behind_go_on() -> None:
    mailbox = on_loop(weigh=len, max_weight=10)
    mailbox.put("x" * 5)
    heavy = mailbox.wait_for_room("y" * 10)
    assert heavy is not None
    async with lined_up(mailbox, "z") as admitted:
        mailbox.give_up(heavy)

    assert admitted == ["z"]
    mailbox.give_up(heavy)  # once more does nothing
    assert mailbox.has_room("w")


async def test_a_cancelled_sender_leaves_the_line() -> None:
    mailbox = on_loop(capacity=1)
    admitted: list[Any] = []
    scope = anyio.CancelScope()
    mailbox.put("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(within, scope, mailbox, "cancelled", admitted)
        await wait_idle()
        scope.cancel()
    mailbox.take()
    mailbox.done()

    assert (list(mailbox.queue), admitted) == ([], [])
    assert mailbox.put("second")
    assert balanced(mailbox)


async def test_a_sender_admitted_and_cancelled_in_one_tick_stays_admitted() -> None:
    mailbox = on_loop(capacity=1)
    scope = anyio.CancelScope()
    mailbox.put("first")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(within, scope, mailbox, "second", list[Any]())
        await wait_idle()
        mailbox.take()
        scope.cancel()

    assert list(mailbox.queue) == ["second"]
    assert balanced(mailbox)


async def test_a_sender_let_in_before_it_sleeps_does_not_sleep() -> None:
    mailbox = on_loop(capacity=1)
    mailbox.put("first")
    sender = mailbox.wait_for_room("second")
    assert sender is not None
    mailbox.take()

    assert await mailbox.wait_in_line(sender)
    assert list(mailbox.queue) == ["second"]


async def test_an_expired_sender_is_refused() -> None:
    mailbox = on_loop(capacity=1)
    mailbox.put("first")
    sender = mailbox.wait_for_room("second")
    assert sender is not None
    results: list[bool] = []

    async def wait(sender: Sender) -> None:
        results.append(await mailbox.wait_in_line(sender))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, sender)
        await wait_idle()
        sender.expire()

    assert results == [False]
    assert mailbox.refused == 1
    mailbox.take()
    assert not mailbox.queue


async def test_closing_refuses_who_waits_and_whoever_comes() -> None:
    mailbox = on_loop(capacity=1)
    mailbox.put("first")
    async with lined_up(mailbox, "second") as admitted:
        mailbox.close()
    await line_up(mailbox, "third", admitted)

    assert admitted == []
    assert mailbox.refused == 2
    assert not mailbox.put("fourth")
    assert not mailbox.promise("fifth")
    assert not mailbox.has_room("sixth")
    assert (mailbox.refused, mailbox.accepted) == (3, 1)
    assert mailbox.take() == "first"  # what is in is in


async def test_draining_lets_in_who_waits() -> None:
    mailbox = on_loop(capacity=1)
    mailbox.put("first")
    async with lined_up(mailbox, "second") as admitted:
        assert mailbox.drain() == ["first"]

    assert admitted == ["second"]
    assert list(mailbox.queue) == ["second"]
    assert mailbox.dead_lettered == 1


def test_a_reopened_mailbox_accepts_again() -> None:
    mailbox = mailbox_of()
    mailbox.close()
    mailbox.reopen()
    mailbox.reopen()

    assert mailbox.put("message")
    assert mailbox.has_room("message")


def test_reopening_one_that_is_open_leaves_the_line_alone() -> None:
    mailbox = mailbox_of(capacity=1)
    mailbox.put("first")
    mailbox.wait_for_room("second")
    mailbox.reopen()

    assert not mailbox.has_room("third")
    assert not mailbox.put("third")


# -- promises --------------------------------------------------------------


def test_a_promise_has_its_room_now_and_its_place_later() -> None:
    mailbox = mailbox_of(capacity=2)
    assert mailbox.promise("promised")
    assert mailbox.put("later")
    assert not mailbox.put("too late")
    assert mailbox.pending == 2
    mailbox.keep_promise("promised")

    assert list(mailbox.queue) == ["later", "promised"]
    assert balanced(mailbox)


def test_a_full_mailbox_promises_nothing() -> None:
    mailbox = mailbox_of(capacity=1)
    mailbox.put("message")

    assert not mailbox.promise("more")
    assert mailbox.accepted == 1


def test_a_promise_kept_to_a_closed_mailbox_is_a_dead_letter() -> None:
    mailbox = mailbox_of(owner := Owner(), weigh=first, max_weight=10)
    mailbox.promise((4,))
    mailbox.close()
    mailbox.keep_promise((4,))

    assert owner.drops == [((4,), Overflow.STOP)]
    assert (mailbox.weight, mailbox.promised, mailbox.pending) == (0, 0, 0)
    assert balanced(mailbox)
