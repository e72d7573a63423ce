"""A drain: batches, deadline, and when clients are asked to come back."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from greenroom import Client
from greenroom.testing import connect, wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


class House(Chat):
    """Clients whose goodbye takes a second of virtual time each."""

    def __init__(self, *, goodbye_seconds: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.leaving = 0
        self.most_leaving = 0

        @self.adapter.on_disconnect()
        async def linger(event: str, client: Client, data: Any) -> None:
            self.leaving += 1
            self.most_leaving = max(self.most_leaving, self.leaving)
            await anyio.sleep(goodbye_seconds)
            self.leaving -= 1

    async def fill(
        self, tasks: Any, number: int, present: int = 0
    ) -> list[tuple[int, str]]:
        """Have *number* more clients; return where their close frames will be."""
        goodbyes: list[tuple[int, str]] = []

        async def stay() -> None:
            async with connect(self.adapter) as client:
                code = await client.wait_closed()
                goodbyes.append((code, client.close_reason))

        for _ in range(number):
            tasks.start_soon(stay)
        await until(lambda: len(self.clients) == number + present)
        await wait_idle()
        return goodbyes


async def test_batches_leave_one_after_the_other() -> None:
    house = House()
    async with house.running(), anyio.create_task_group() as tasks:
        goodbyes = await house.fill(tasks, 10)
        began = anyio.current_time()
        await house.adapter.drain(60.0, 4)
        assert anyio.current_time() - began == pytest.approx(3.0)
        assert house.most_leaving == 4
        assert len(house.gone) == 10
        await wait_idle()
        assert goodbyes == [(1001, "going away")] * 10


async def test_all_at_once_where_the_batch_is_large() -> None:
    house = House()
    async with house.running(), anyio.create_task_group() as tasks:
        await house.fill(tasks, 10)
        began = anyio.current_time()
        await house.adapter.drain()
        assert anyio.current_time() - began == pytest.approx(1.0)
        assert house.most_leaving == 10


async def test_everyone_is_told_before_the_deadline() -> None:
    house = House(goodbye_seconds=4.0)
    async with house.running(), anyio.create_task_group() as tasks:
        goodbyes = await house.fill(tasks, 10)
        began = anyio.current_time()
        await house.adapter.drain(deadline=2.5, batch=2)
        # Each batch had its half second, and nobody the four that it takes.
        assert anyio.current_time() - began == pytest.approx(2.5)
        assert house.leaving == 10
        assert len(house.gone) == 10
        assert goodbyes == [(1001, "going away")] * 10


async def test_a_drain_without_time_tells_everyone_and_returns() -> None:
    house = House()
    async with house.running(), anyio.create_task_group() as tasks:
        await house.fill(tasks, 5)
        began = anyio.current_time()
        await house.adapter.drain(0, 1)
        assert anyio.current_time() == began
        await wait_idle()
        assert house.leaving == 5


async def test_clients_are_asked_to_come_back_at_different_times() -> None:
    house = House()
    async with house.running(), anyio.create_task_group() as tasks:
        goodbyes = await house.fill(tasks, 40)
        await house.adapter.drain(spread=30.0, reason="new version")
        await wait_idle()
        assert {code for code, _ in goodbyes} == {1012}
        hints = [re.fullmatch(HINT, reason) for _, reason in goodbyes]
        seconds = [float(hint[1]) for hint in hints if hint is not None]
        assert len(seconds) == 40
        assert all(0.0 <= second <= 30.0 for second in seconds)
        # Forty in one half of the time, by chance: once in 10 ** 11 runs.
        assert min(seconds) < 15.0 < max(seconds)


HINT = r"new version; retry-after=(\d+\.\d)"


async def test_the_options_say_what_a_stop_tells_clients() -> None:
    house = House(drain_spread=5.0, drain_batch=1)
    async with anyio.create_task_group() as tasks:
        async with house.running():
            goodbyes = await house.fill(tasks, 3)
        await wait_idle()
        assert house.most_leaving == 1
        assert {code for code, _ in goodbyes} == {1012}
        assert all("; retry-after=" in reason for _, reason in goodbyes)


async def test_a_handler_that_drains_ends_with_its_client_and_the_drain_goes_on() -> (
    None
):
    house = House()

    @house.adapter.on("drain")
    async def drain(event: str, client: Client, data: Any) -> None:
        await house.adapter.drain(60.0, 2)

    async with house.running(), anyio.create_task_group() as tasks:
        async with house.client() as (first, _):
            await house.fill(tasks, 5, present=1)
            await first.emit("drain")
            await first.wait_closed()
        await anyio.sleep(10.0)
        assert house.adapter.statistics().connections == 0
        assert house.most_leaving == 2


async def test_the_code_may_be_another() -> None:
    house = House()
    async with house.running(), anyio.create_task_group() as tasks:
        goodbyes = await house.fill(tasks, 1)
        await house.adapter.drain(code=4000, reason="moved")
        await wait_idle()
        assert goodbyes == [(4000, "moved")]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"deadline": -1}, ValueError, "deadline must be at least 0"),
        ({"deadline": "1"}, TypeError, "deadline must be a number"),
        ({"batch": 0}, ValueError, "batch must be an int of at least 1"),
        ({"batch": 1.0}, TypeError, "batch must be an int"),
        ({"spread": float("inf")}, ValueError, "spread must be at least 0 and finite"),
        ({"code": 1005}, ValueError, "code must be 1000 to 1014"),
        ({"reason": "é" * 51}, ValueError, "reason must be at most 100 bytes"),
        ({"reason": None}, TypeError, "reason must be a str"),
    ],
)
async def test_wrong_arguments_begin_no_drain(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    async with Chat().running() as chat, chat.client() as (client, sid):
        with pytest.raises(error, match=words):
            await chat.adapter.drain(**arguments)
        assert await client.call("sid") == sid
        assert not chat.adapter.statistics().draining
