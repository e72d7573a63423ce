"""What is reported of a crash, as OTP's gen_server tests have it."""

from __future__ import annotations

import logging
from typing import cast

import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorSystem,
    Crashed,
    CrashReport,
    ExitReason,
    Normal,
    Shutdown,
)

from .stage import Puppet, Stage

pytestmark = pytest.mark.anyio


class Boom(Exception):
    """What the actors here fail with."""


async def fail(_: object = None) -> None:
    raise Boom


class Account(Actor[object]):
    """Keeps a secret, and fails when told to."""

    def __init__(self, *, describes: bool) -> None:
        self.balance = 41
        self.pin = "1234"
        self._describes = describes

    async def receive(self, message: object) -> object:
        if isinstance(message, dict):
            raise Boom
        return message

    def describe(self) -> object:
        return {"balance": self.balance} if self._describes else super().describe()


class Asker(Actor[object]):
    """Asks an account something that it fails over."""

    async def receive(self, message: object) -> object:
        account = cast("ActorRef[object]", message)
        with pytest.raises(ActorCrashed):
            await account.ask({"pin": "1234"})
        return None


async def crash(account: Account) -> None:
    """Have it fail over a message."""
    async with ActorSystem() as system:
        ref = await system.spawn(account, name="account")
        ref.tell({"pin": "1234"})
        await ref.wait_stopped()


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("reason", [Normal(), Shutdown(), Shutdown("why")])
async def test_an_end_that_is_no_failure_is_not_reported(
    reason: ExitReason, caplog: pytest.LogCaptureFixture
) -> None:
    """Behaviour 107: crash."""
    async with ActorSystem() as system:
        ref = await system.spawn(Account(describes=True))
        assert await ref.stop(reason) == reason

    assert errors(caplog) == []


async def test_a_crash_is_reported_once_with_state_last_message_and_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 107: crash."""
    async with ActorSystem() as system:
        account = await system.spawn(Account(describes=True), name="account")
        asker = await system.spawn(Asker(), name="asker")
        await asker.ask(account)

    (record,) = errors(caplog)
    report = vars(record)["crash"]
    assert isinstance(report, CrashReport)
    assert isinstance(report.reason, Crashed)
    assert (report.path, report.incarnation, report.actor) == ("/account", 1, "Account")
    assert (report.state, report.message) == ({"balance": 41}, "dict")
    assert report.asker == "/asker"
    assert record.getMessage() == (
        "/account failed: Crashed(error=Boom()); Account, incarnation 1; "
        "over a dict asked by /asker; state: {'balance': 41}"
    )
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Boom)


async def test_a_report_holds_types_alone_unless_the_actor_says_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 117: format_status, terminate_crash_format."""
    await crash(Account(describes=False))

    (record,) = errors(caplog)
    assert record.getMessage() == (
        "/account failed: Crashed(error=Boom()); Account, incarnation 1; over a dict"
    )
    assert "1234" not in caplog.text


async def test_what_an_actor_leaves_out_of_its_state_is_in_no_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behaviour 117: format_status, terminate_crash_format."""
    await crash(Account(describes=True))

    assert "{'balance': 41}" in caplog.text
    assert "1234" not in caplog.text


async def test_a_description_that_fails_hides_nothing_of_the_crash(
    stage: Stage,
) -> None:
    class Mute(Puppet):
        def describe(self) -> object:
            raise LookupError("1234")

    cell = await stage.spawn(Mute())
    cell.ref.tell(fail)
    await cell.ref.wait_stopped()

    report = cell.report
    assert report is not None
    assert (report.actor, report.message) == ("Mute", "function")
    assert report.state == "describe() raised LookupError"
    assert isinstance(report.reason, Crashed)
    assert isinstance(report.reason.error, Boom)


async def test_an_actor_that_was_never_made_is_reported_without_it(
    stage: Stage,
) -> None:
    def no_actor() -> Puppet:
        raise Boom

    cell = stage.cell(no_actor)
    cell.start()
    await cell.wait_started()

    assert cell.report is not None
    assert str(cell.report) == f"{cell.path} failed: StartFailed(error=Boom())"


async def test_a_crash_over_no_message_names_none(stage: Stage) -> None:
    cell = await stage.spawn()
    await cell.ref.ask(lambda puppet: puppet.context.start_soon(fail))
    await cell.ref.wait_stopped()

    assert cell.report is not None
    assert (cell.report.message, cell.report.asker) == (None, None)
