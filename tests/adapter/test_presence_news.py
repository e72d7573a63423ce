"""When a room is told who is there, and that it is enough."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.testing import wait_idle

from .test_presence import INTERVAL, House, heard, news, who

pytestmark = pytest.mark.anyio


async def test_a_crowd_is_one_message() -> None:
    names = [f"user {number}" for number in range(50)]
    async with House().running() as house, house.visitor("ann") as ann:
        async with anyio.create_task_group() as tasks:
            stay = anyio.Event()

            async def come(name: str) -> None:
                async with house.user(name) as client:
                    await client.call("enter")
                    await stay.wait()

            for name in names:
                tasks.start_soon(come, name)
            (event,) = await heard(ann)
            assert sorted(each["user"] for each in event.data["joined"]) == sorted(
                names
            )
            stay.set()
        (event,) = await heard(ann)
        assert sorted(event.data["left"]) == sorted(names)
        assert house.names() == ["ann"]


async def test_who_comes_and_goes_at_once_is_no_news() -> None:
    async with House().running() as house, house.visitor("ann") as ann:
        async with house.user("bob") as bob:
            await bob.call("come")
            assert house.adapter.statistics().present == 2
        assert await heard(ann) == []


async def test_who_has_looked_between_is_told_even_so() -> None:
    """Ann sees what is over before anybody was told of it."""
    async with (
        House().running() as house,
        house.visitor("ann") as ann,
        house.visitor("bob") as bob,
    ):
        ann.received()
        await bob.call("leave", "lobby")
        assert [each["user"] for each in await ann.call("who")] == ["ann"]
        await bob.call("come")
        assert await heard(ann) == [news(["bob"], [])]

        # What she has seen is what there is: no news.
        await bob.call("leave", "lobby")
        await bob.call("come")
        assert [each["user"] for each in await ann.call("who")] == ["ann", "bob"]
        assert await heard(ann) == []

        async with house.user("eve") as eve:
            await eve.call("come")
            users = [each["user"] for each in await ann.call("who")]
            assert users == ["ann", "bob", "eve"]
        assert await heard(ann) == [news([], ["eve"])]


async def test_news_take_a_part_of_an_outbox_at_most() -> None:
    """A crowd that shows much is told of little by little, and nobody is cut off."""
    info = {"text": "x" * 1000}
    names = [f"user {number}" for number in range(8)]
    async with (
        House(outbox_bytes=12_000, history_bytes=1).running() as house,
        house.visitor("ann") as ann,
        anyio.create_task_group() as tasks,
    ):
        stay = anyio.Event()

        async def come(name: str) -> None:
            async with house.user(name) as client:
                await client.emit("join", "lobby")
                await client.emit("enter", info)
                await stay.wait()

        for name in names:
            tasks.start_soon(come, name)
        told: list[str] = []
        for _ in range(4):
            (event,) = await heard(ann)
            told += [each["user"] for each in event.data["joined"]]
            assert len(event.data["joined"]) == 2
        assert sorted(told) == sorted(names)
        assert await heard(ann) == []
        assert house.chat.gone == []
        stay.set()


async def test_one_that_shows_more_than_that_is_told_alone() -> None:
    async with (
        House(outbox_bytes=2000, history_bytes=1).running() as house,
        house.visitor("ann") as ann,
        house.user("bob") as bob,
    ):
        await bob.emit("enter", {"text": "x" * 800})
        (event,) = await heard(ann)
        assert [each["user"] for each in event.data["joined"]] == ["bob"]


async def test_news_go_on_while_some_are_told() -> None:
    """What changes in the midst of it is for the next time."""
    async with House().running() as house, house.visitor("ann") as ann:
        for _ in range(3):
            async with house.user("bob") as bob:
                await bob.emit("enter")
                assert await heard(ann) == [news(["bob"], [])]
            assert await heard(ann) == [news([], ["bob"])]


ACTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["enter", "come", "leave", "join", "who"]),
        st.sampled_from([None, {"at": 1}, {"at": 2}]),
        st.sampled_from([0.0, 0.0, 0.0, 0.4, 1.1]),
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(acts=ACTS)
async def test_who_applies_the_news_knows_who_is_there(
    acts: list[tuple[int, str, Any, float]],
) -> None:
    async with House().running() as house:
        names = ["ann", "bob", "bob", "eve"]
        async with (
            house.user(names[0]) as a,
            house.user(names[1]) as b,
            house.user(names[2]) as c,
            house.user(names[3]) as d,
            house.user("watcher") as watcher,
        ):
            clients = [a, b, c, d]
            await watcher.call("join", "lobby")
            known: dict[str, Any] = {}

            def apply(events: list[Any]) -> None:
                for event in events:
                    for each in event.data["joined"]:
                        known[each["user"]] = each["info"]
                    for user in event.data["left"]:
                        known.pop(user, None)

            for number, act, info, seconds in acts:
                if act == "who":
                    present = await watcher.call("who")
                    # It came before the answer.
                    apply(watcher.received())
                    known.clear()
                    known.update({each["user"]: each["info"] for each in present})
                else:
                    data = info if act in ("enter", "come") else "lobby"
                    await clients[number].call(act, data)
                await anyio.sleep(seconds)
            await anyio.sleep(INTERVAL)
            await wait_idle()
            apply(watcher.received())
            assert known == {each.user: each.info for each in who(house)}
