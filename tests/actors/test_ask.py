"""An ask is settled once; a ring of waits is found whatever its shape."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors import Ask, AskCycle, AskTimeout, Reply
from greenroom.actors._ask import Activation, Wait, Watcher, current, wait_cycle
from greenroom.testing._clock import wait_idle

from .stage import Stage

pytestmark = pytest.mark.anyio


class Node:
    """An actor, as far as waiting goes."""

    def __init__(self, name: int) -> None:
        self.path = str(name)
        self.waits: tuple[Wait, ...] = ()


class Thing:
    """Something to wait for."""

    def __init__(self, *, done: bool = False) -> None:
        self.done = done


def ask_of(stage: Stage, deadline: float = math.inf) -> Ask:
    return Ask("message", "/a", 1.5, deadline, None, stage.runtime)


async def test_an_ask_is_settled_by_a_reply(stage: Stage) -> None:
    ask = ask_of(stage)
    ask.reply(1)
    ask.reply(2)
    ask.fail(ValueError())
    ask.expire()
    assert await ask.wait() == 1


async def test_an_ask_is_settled_by_an_error(stage: Stage) -> None:
    ask = ask_of(stage)
    ask.fail(KeyError("first"))
    ask.fail(ValueError("second"))
    ask.reply(1)
    with pytest.raises(KeyError, match="first"):
        await ask.wait()


async def test_an_ask_is_settled_by_its_deadline(stage: Stage) -> None:
    ask = ask_of(stage, stage.runtime.now() + 1.5)
    with pytest.raises(AskTimeout) as late:
        await ask.wait()
    assert (late.value.path, late.value.seconds) == ("/a", 1.5)


async def test_a_reply_is_wanted_until_it_is_given(stage: Stage) -> None:
    ask = ask_of(stage)
    others = ask_of(stage)
    unanswered = {ask: None, others: None}
    reply = Reply(ask, unanswered)
    assert reply.wanted
    reply.send(1)
    assert list(unanswered) == [others]
    assert not reply.wanted
    assert await ask.wait() == 1


async def test_outside_of_every_actor_there_is_no_activation() -> None:
    assert current.get() is None
    await wait_idle()


# -- rings -----------------------------------------------------------------


def link(edges: dict[int, list[tuple[int, bool]]]) -> dict[int, Node]:
    """Nodes that wait for each other; True stands for what is done."""
    nodes = {name: Node(name) for name in edges}
    for name, targets in edges.items():
        nodes[name].waits = tuple(
            (Thing(done=done), nodes[target]) for target, done in targets
        )
    return nodes


EDGES = st.dictionaries(
    st.integers(0, 7), st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=3)
).map(lambda edges: {name: edges.get(name, []) for name in range(8)})


def reaches(edges: dict[int, list[tuple[int, bool]]], start: int, goal: int) -> bool:
    """The same, found the plain way."""
    seen, left = set[int](), [start]
    while left:
        name = left.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            left += [target for target, done in edges[name] if not done]
    return False


@given(EDGES, st.integers(0, 7), st.integers(0, 7))
def test_a_ring_is_found_if_and_only_if_there_is_one(
    edges: dict[int, list[tuple[int, bool]]], asker: int, target: int
) -> None:
    nodes = link(edges)
    cycle = wait_cycle(nodes[asker], nodes[target])
    assert (cycle is not None) is reaches(edges, target, asker)
    if cycle is not None:
        names = [int(name) for name in cycle]
        assert names[0] == names[-1] == asker
        assert names[1] == target
        # Every step of it is a wait for something that is still to come.
        for one, next_one in itertools.pairwise(names[1:]):
            assert (next_one, False) in edges[one]


def test_an_activation_knows_what_it_waits_for() -> None:
    a, b, c = Node(0), Node(1), Node(2)
    nobody: Any = None
    watcher: Watcher = nobody
    activation = Activation(a, watcher, blocks=True)
    first = activation.begin(Thing(), b)
    second = activation.begin(Thing(), c)
    assert [*activation.waits] == [first, second]
    activation.end(first)
    assert [*activation.waits] == [second]
    b.waits = ((Thing(), a),)
    with pytest.raises(AskCycle) as cycle:
        activation.begin(Thing(), b)
    assert cycle.value.cycle == ("0", "1", "0")
    assert [*activation.waits] == [second]
