from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest

from greenroom import AckFailed, AckTimeout, ActorSystem, AdapterError, ClientGone
from greenroom.adapter._acks import Acks

from .support import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def acks() -> AsyncGenerator[Acks]:
    """The acks of a client that may owe three."""
    async with ActorSystem() as system:
        yield Acks("~sid", system.runtime, 3)


async def test_an_answer_reaches_who_waits(acks: Acks) -> None:
    answers: list[object] = []

    async def wait(id: int) -> None:
        answers.append(await acks.wait(id, acks.expect(id, "question", 5.0)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, 1)
        tasks.start_soon(wait, 2)
        await until(lambda: len(acks) == 2)
        assert acks.answered(2, "two") is None
        assert acks.answered(1, "one") is None
    assert sorted(map(str, answers)) == ["one", "two"]
    assert len(acks) == 0


async def test_an_answer_may_be_an_error(acks: Acks) -> None:
    ask = acks.expect(1, "question", 5.0)
    acks.failed(1, "no", "not me")
    with pytest.raises(AckFailed) as failed:
        await acks.wait(1, ask)
    assert str(failed.value) == "client ~sid answered 'no': not me"
    assert len(acks) == 0


async def test_an_answer_may_come_before_anybody_waits(acks: Acks) -> None:
    ask = acks.expect(1, "question", 5.0)
    acks.answered(1, "early")
    assert await acks.wait(1, ask) == "early"


async def test_no_answer_is_waited_for_for_ever(acks: Acks) -> None:
    ask = acks.expect(1, "question", 5.0)
    began = anyio.current_time()
    with pytest.raises(AckTimeout) as late:
        await acks.wait(1, ask)
    assert anyio.current_time() - began == pytest.approx(5.0)
    assert isinstance(late.value, TimeoutError)
    assert str(late.value) == "client ~sid did not answer 'question' in 5 s"
    assert len(acks) == 0
    assert acks.answered(1, "late") is None


async def test_an_id_that_nobody_waits_for_is_ignored(acks: Acks) -> None:
    assert acks.answered(7, "made up") is None
    acks.failed(7, "made", "up")
    acks.forget(7)


async def test_a_callback_is_given_back_once(acks: Acks) -> None:
    called: list[object] = []
    acks.call_back(1, called.append, 5.0)
    callback = acks.answered(1, "data")
    assert callback is not None
    assert acks.answered(1, "data") is None
    assert len(acks) == 0


async def test_a_callback_is_forgotten_at_its_deadline(acks: Acks) -> None:
    acks.call_back(1, print, 5.0)
    await anyio.sleep(4.9)
    assert len(acks) == 1
    await anyio.sleep(0.2)
    assert len(acks) == 0
    assert acks.answered(1, "late") is None


async def test_a_callback_is_not_told_of_an_error(acks: Acks) -> None:
    acks.call_back(1, print, 5.0)
    acks.failed(1, "no", "not me")
    assert len(acks) == 0
    assert acks.answered(1, "after all") is None


async def test_when_the_client_goes_all_are_told(acks: Acks) -> None:
    ask = acks.expect(1, "question", 5.0)
    acks.call_back(2, print, 5.0)
    acks.fail_all(ClientGone("~sid"))
    assert len(acks) == 0
    with pytest.raises(ClientGone):
        await acks.wait(1, ask)
    assert acks.answered(2, "late") is None


async def test_they_are_bounded(acks: Acks, caplog: pytest.LogCaptureFixture) -> None:
    acks.expect(1, "question", 5.0)
    acks.call_back(2, print, 5.0)
    acks.expect(3, "question", 5.0)
    with pytest.raises(AdapterError, match="owes 3 acks already"):
        acks.expect(4, "question", 5.0)
    acks.call_back(5, print, 5.0)
    assert "owes too many acks" in caplog.text
    assert len(acks) == 3
    assert acks.answered(5, None) is None
    acks.forget(1)
    acks.expect(6, "question", 5.0)


async def test_who_gives_up_leaves_nothing_behind(acks: Acks) -> None:
    with anyio.move_on_after(1.0):
        await acks.wait(1, acks.expect(1, "question", 5.0))
    assert len(acks) == 0
