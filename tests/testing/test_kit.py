"""An actor is tested in plain functions, step by step."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from greenroom import (
    Actor,
    ActorCrashed,
    ActorNotAlive,
    ActorRef,
    AskTimeout,
    Crashed,
    ExitReason,
    Killed,
    MailboxFull,
    MailboxOptions,
    Normal,
    Request,
    Shutdown,
    StartError,
    Undelivered,
)
from greenroom.testing import ActorKit, Sent


@dataclass(frozen=True)
class Total(Request[int]):
    """How much it is."""


class Counter(Actor[Any]):
    """Adds up, and does a few other things."""

    def __init__(self, bank: ActorRef[Any] | None = None) -> None:
        self.total = 0
        self.bank = bank
        self.log: list[str] = []

    async def receive(self, message: Any) -> object:
        match message:
            case int():
                self.total += message
            case Total():
                return self.total
            case "crash":
                raise ValueError(self.total)
            case "later":
                self.context.send_after(60, 100)
            case "wait":
                await anyio.sleep(10)
            case "forget":
                self.context.defer_reply()
            case "stop":
                self.context.stop()
            case "pay":
                assert self.bank is not None
                self.bank.tell(self.total)
            case "balance":
                assert self.bank is not None
                return await self.bank.ask("balance")
            case _:
                pass
        return self.total

    async def stopped(self, reason: ExitReason) -> None:
        self.log.append(type(reason).__name__)


def test_what_is_told_is_handled_when_tell_returns() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        kit.tell(2)
        kit.tell(3)
        assert counter.total == 5
        assert kit.actor is counter


def test_what_is_asked_is_answered() -> None:
    with ActorKit(Counter()) as kit:
        assert kit.ask(3) == 3
        total: int = kit.ask(Total())
        assert total == 3


def test_time_goes_by_when_it_is_told_to() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        kit.tell("later")
        kit.advance(59.5)
        assert (counter.total, kit.now) == (0, 59.5)
        kit.advance(0.5)
        assert (counter.total, kit.now) == (100, 60)


def test_asking_takes_the_time_that_the_answer_takes() -> None:
    with ActorKit(Counter()) as kit:
        kit.ask("wait", timeout=20)
        assert kit.now == 10


def test_an_answer_that_never_comes_is_a_timeout() -> None:
    with ActorKit(Counter()) as kit:
        with pytest.raises(AskTimeout):
            kit.ask("forget")
        assert kit.now == 5


def test_what_is_told_may_still_be_in_hand() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        kit.tell("wait")
        kit.tell(1)
        assert counter.total == 0
        kit.advance(10)
        assert counter.total == 1


def test_a_crash_is_seen_in_its_reason() -> None:
    with ActorKit(Counter()) as kit:
        assert kit.reason is None
        kit.tell("crash")
        assert isinstance(kit.reason, Crashed)
        with pytest.raises(ActorNotAlive):
            kit.tell(1)
        (letter,) = kit.dead_letters
        assert (letter.message, letter.why) == ("crash", Undelivered.CRASHED)
    assert isinstance(kit.reason, Crashed)
    assert len(kit.dead_letters) == 1


def test_a_crash_over_an_ask_is_raised() -> None:
    with ActorKit(Counter()) as kit, pytest.raises(ActorCrashed) as crashed:
        kit.ask("crash")
    assert isinstance(crashed.value.__cause__, ValueError)


def test_stopping_returns_how_it_ended() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        assert kit.stop() == Shutdown()
        assert counter.log == ["Shutdown"]
    with ActorKit(Counter()) as kit:
        assert kit.stop(Normal()) == Normal()


def test_an_actor_may_stop_itself() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        kit.tell("stop")
        assert kit.reason == Normal()
    assert counter.log == ["Normal"]


def test_killing_runs_no_hook() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        kit.kill()
        assert kit.reason == Killed()
    assert counter.log == []


def test_leaving_the_block_stops_it() -> None:
    counter = Counter()
    with ActorKit(counter):
        pass
    assert counter.log == ["Shutdown"]


def test_an_error_of_the_block_is_its_own() -> None:
    counter = Counter()
    with pytest.raises(KeyError), ActorKit(counter):
        raise KeyError
    assert counter.log == ["Shutdown"]


def test_what_it_sends_is_seen_by_probes() -> None:
    with ActorKit(lambda kit: Counter(kit.probe("bank"))) as kit:
        kit.tell(7)
        assert kit.sent == []
        kit.tell("pay")
        assert kit.sent == [Sent("bank", 7)]


def test_a_probe_answers() -> None:
    with ActorKit(lambda kit: Counter(kit.probe("bank", len))) as kit:
        assert kit.ask("balance") == len("balance")
        assert kit.sent == [Sent("bank", "balance")]


def test_a_probe_answers_none_by_default() -> None:
    with ActorKit(lambda kit: Counter(kit.probe("bank"))) as kit:
        assert kit.ask("balance") is None


def test_a_probe_may_be_made_later() -> None:
    counter = Counter()
    with ActorKit(counter) as kit:
        counter.bank = kit.probe("bank")
        kit.tell("pay")
        assert kit.sent == [Sent("bank", 0)]


def test_the_ref_is_that_of_the_actor() -> None:
    with ActorKit(Counter()) as kit:
        assert kit.ref.alive
        assert kit.ref.name == "actor"


def test_its_mailbox_is_as_large_as_is_said() -> None:
    with ActorKit(Counter(), mailbox=MailboxOptions(capacity=1)) as kit:
        kit.tell("wait")
        kit.tell(1)
        with pytest.raises(MailboxFull):
            kit.tell(2)


def test_a_failed_start_is_raised() -> None:
    class Broken(Actor[int]):
        async def started(self) -> None:
            raise OSError

    with pytest.raises(StartError), ActorKit(Broken()):
        pytest.fail("it started")


def test_a_failed_factory_is_raised() -> None:
    def broken(_: ActorKit[Any]) -> Counter:
        raise OSError

    with pytest.raises(OSError), ActorKit(broken):  # noqa: PT011 - none of ours
        pytest.fail("it started")


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_time_goes_forward_and_ends(seconds: float) -> None:
    with (
        ActorKit(Counter()) as kit,
        pytest.raises(ValueError, match="seconds must be at least 0, got"),
    ):
        kit.advance(seconds)


def test_it_is_entered_once() -> None:
    kit = ActorKit(Counter())
    with kit:
        pass
    with pytest.raises(RuntimeError, match="entered only once"), kit:
        pytest.fail("it was")
    with pytest.raises(RuntimeError, match="has been left"):
        kit.tell(1)


def test_it_has_no_place_in_an_event_loop() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="event loop of its own"):
            ActorKit(Counter()).__enter__()

    asyncio.run(main())
