"""Being told of what happens in the tree."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom import (
    ActorNotAlive,
    ActorRef,
    ActorSystem,
    FlagCleared,
    FlagRaised,
    LevelChanged,
    MailboxOptions,
    NodeFlag,
    SystemEvent,
    TreeOptions,
)
from greenroom.testing import wait_idle

from .kit import Journal, Plain, Worker, elapse, forever, lasting

pytestmark = pytest.mark.anyio


async def test_a_listener_hears_of_watermarks_in_place() -> None:
    heard: list[SystemEvent] = []
    async with ActorSystem() as system:
        forget = system.listen(heard.append)
        small = MailboxOptions(capacity=10)
        ref = await system.spawn(Plain(), name="plain", mailbox=small)
        for _ in range(9):
            ref.tell("hello")
        assert heard == [LevelChanged("/plain", 1), LevelChanged("/plain", 2)]
        heard.clear()
        await wait_idle()
        assert heard == [LevelChanged("/plain", 1), LevelChanged("/plain", 0)]
        heard.clear()
        forget()
        forget()
        for _ in range(9):
            ref.tell("hello")
        await elapse(10)
    assert heard == []


async def test_a_listener_that_looks_hears_of_a_handler_that_does_not_end() -> None:
    heard: list[SystemEvent] = []
    async with ActorSystem() as system:
        forget = system.listen(heard.append, every=0.25)
        ref = await system.spawn(Worker("busy", Journal()), name="busy")
        ref.tell(lasting(4.9))
        await elapse(0.9)
        assert heard == []
        await elapse(1.0)
        (raised,) = heard
        assert isinstance(raised, FlagRaised)
        assert raised.flag is NodeFlag.SLOW
        assert raised.node.path == "/busy"
        assert raised.node.busy is not None
        assert 1.0 < raised.node.busy <= 1.25
        await elapse(2.5)
        assert len(heard) == 1
        await elapse(1.0)
        assert heard[1:] == [FlagCleared(NodeFlag.SLOW, "/busy")]
        forget()
        forget()
        ref.tell(lasting(3))
        await elapse(4)
        assert len(heard) == 2


async def test_what_is_slow_is_up_to_the_one_who_listens() -> None:
    heard: list[SystemEvent] = []
    async with ActorSystem() as system:
        patient = TreeOptions(slow_seconds=5.0, stuck_seconds=5.0)
        system.listen(heard.append, every=1.0, options=patient)
        ref = await system.spawn(Worker("busy", Journal()), name="busy")
        ref.tell(forever)
        await elapse(4.9)
        assert heard == []
        await elapse(2.0)
        assert [e.flag for e in heard if isinstance(e, FlagRaised)] == [NodeFlag.STUCK]
        ref.kill()
        await elapse(1.5)
        # It is gone, and its flag with it.
        assert heard[-1] == FlagCleared(NodeFlag.STUCK, "/busy")


async def test_a_listener_that_raises_is_logged_and_told_the_next_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[SystemEvent] = []

    def fail(event: SystemEvent) -> None:
        heard.append(event)
        raise OSError("the pager is down")

    async with ActorSystem() as system:
        system.listen(fail, every=0.5)
        ref: ActorRef[object] = await system.spawn(
            Worker("busy", Journal()), name="busy", mailbox=MailboxOptions(capacity=2)
        )
        ref.tell(lasting(3.0))
        await wait_idle()
        for _ in range(2):
            ref.tell("hello")
        await elapse(5)
    kinds = [type(event) for event in heard]
    assert LevelChanged in kinds
    assert kinds.count(FlagRaised) == kinds.count(FlagCleared) > 0
    assert caplog.text.count("OSError: the pager is down") == len(heard)


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"every": "1"}, {"every": -1}, {"options": None}]
)
async def test_what_cannot_be_listened_with_is_refused(options: Any) -> None:
    async with ActorSystem() as system:
        with pytest.raises(ValueError, match=r"every must be seconds|options must be"):
            system.listen(print, **options)


async def test_nobody_listens_before_the_block_or_after_it() -> None:
    system = ActorSystem()
    with pytest.raises(RuntimeError, match="has not been entered"):
        system.listen(print)
    async with system:
        pass
    with pytest.raises(ActorNotAlive, match="the system has ended"):
        system.listen(print)
