"""The tree as a person reads it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from greenroom import (
    ChildStatus,
    Failure,
    MailboxStatistics,
    NodeFlag,
    Ring,
    Tree,
    TreeNode,
    TreeOptions,
    WaitsFor,
)
from greenroom.supervision._failure import place

RUNNING = ChildStatus.RUNNING


def mailbox(capacity: int = 1024) -> MailboxStatistics:
    return MailboxStatistics(0, 0, 0, 0, 0, capacity, 0, 0)


def node(path: str, actor: str = "Room", **fields: Any) -> TreeNode:
    settings: dict[str, Any] = {"state": RUNNING, "mailbox": mailbox(), **fields}
    return TreeNode(path, actor, **settings)


def tree(*children: TreeNode, **fields: Any) -> Tree:
    root = node("/", "Supervisor", is_supervisor=True, children=children)
    settings: dict[str, Any] = {"at": 1000.0, "rings": (), "dead_letters": 0}
    return Tree(root, options=TreeOptions(), **{**settings, **fields})


FULL = tree(
    node("/_registry", "Registry"),
    node(
        "/writer",
        "Writer",
        mailbox=mailbox(8),
        waiting=7,
        lag=0.94,
        busy=12.3,
        incarnation=3,
        flags=frozenset([NodeFlag.NEAR_FULL, NodeFlag.STUCK]),
        where="embedded.py:108 in Writer.receive",
        waits=(WaitsFor("answer", "/rooms/17", 2.5),),
        failure=Failure("/writer", "Crashed", "OSError", "a.py:7 in f", None, 400.0),
    ),
    node(
        "/rooms",
        "Crew",
        is_supervisor=True,
        failed_child=Failure("/rooms/3", "Killed", None, None, None, 991.0),
        children=(
            node(
                "/rooms/17",
                suspended=True,
                waiting=150,
                mailbox=mailbox(200),
                aside=2,
            ),
            node(
                "/rooms/18",
                state=ChildStatus.RESTARTING,
                starts_in=3.21,
                flags=frozenset([NodeFlag.RESTARTING]),
            ),
            node("/rooms/19", state=ChildStatus.STOPPED, mailbox=None),
            node("/rooms/20", state=ChildStatus.STARTING, busy=0.5),
        ),
    ),
    dead_letters=1,
    rings=(Ring(("/writer", "/rooms/17"), frozenset(["/rooms/17"])),),
)


GOLDEN = """\
8 actors, 157 messages wait, 1 dead letter, 1 STUCK, 1 RESTARTING, 1 NEAR_FULL
path           class       state       restarts  mail        lag    now
/              Supervisor  running               0                  idle
├── _registry  Registry    running               0                  idle
├── writer     Writer      running     2         7/8         0.9 s  handling 12 s
│      ! STUCK NEAR_FULL at embedded.py:108 in Writer.receive
│      waits for an answer of /rooms/17, 2.5 s left
│      failed 10 min ago: Crashed, OSError at a.py:7 in f
└── rooms      Crew        running               0                  idle
    │  /rooms/3 failed 9.0 s ago: Killed
    ├── 17     Room        suspended             150/200 +2         idle
    ├── 18     Room        restarting            0                  starts in 3.2 s
    │      ! RESTARTING
    ├── 19     Room        stopped
    └── 20     Room        starting              0                  for 0.5 s
ring of waits: /writer -> /rooms/17 (by a task) -> /writer
"""


def test_a_tree_is_a_table_with_what_is_the_matter_below_each_actor() -> None:
    assert str(FULL).splitlines() == GOLDEN.splitlines()


def test_a_sound_tree_has_nothing_to_say_but_its_size() -> None:
    assert tree().format().splitlines() == [
        "1 actor",
        "path  class       state    mail  now",
        "/     Supervisor  running  0     idle",
    ]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_tree_is_as_wide_as_it_may_be(width: int) -> None:
    long = tree(
        node(
            "/" + "n" * 80,
            "C" * 80,
            lag=5.0,
            busy=3.0,
            waiting=1,
            waits=tuple(WaitsFor("end", f"/some/{n}", 1.0) for n in range(3)),
            where="file.py:12 in " + " ".join(["word"] * 30),
            flags=frozenset([NodeFlag.SLOW]),
        )
    )
    lines = long.format(width=width).splitlines()
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if line.startswith("└── n"))
    assert "n…  " in row
    assert "CCC…  " in row
    notes = [line for line in lines if line.startswith("       ")]
    assert all(len(line) <= width for line in notes)
    # Nothing of a note is lost.
    assert " ".join(notes).count("word") == 30
    assert max(map(len, lines)) >= min(width, 120)


def test_of_many_children_those_are_shown_that_something_is_the_matter_with() -> None:
    slow = frozenset([NodeFlag.SLOW])
    children = [
        node(f"/{n}", flags=slow if n in (7, 9) else frozenset(), waiting=n)
        for n in range(10)
    ]
    below = node("/8/a", "Below", flags=slow, waiting=1)
    children[8] = node("/8", is_supervisor=True, children=(below,))
    several = tree(*children)
    assert _first_column(several.format(children=4)) == [
        "/",
        "├── 0",
        "├── 7",
        "├── 8",
        "│   └── a",
        "├── 9",
        "└── … 6 more, 21 messages wait",
    ]
    assert _first_column(several.format(children=1)) == [
        "/",
        "├── 7",
        "└── … 9 more, 10 actors in all, 31 messages wait, 2 SLOW",
    ]
    none = several.format(children=0).splitlines()
    assert none[0] == "12 actors, 38 messages wait, 3 SLOW"
    assert none[-1] == ("└── … 10 more, 11 actors in all, 38 messages wait, 3 SLOW")
    assert "more" not in several.format(children=10)
    assert tree(node("/a"), node("/b")).format(children=1).endswith("… 1 more")


def _first_column(text: str) -> list[str]:
    rows = [line for line in text.splitlines()[2:] if "!" not in line]
    return [re.split(r"(?<=\w|/)  +(?=[A-Z])", row)[0] for row in rows]


def test_durations_are_as_exact_as_it_takes() -> None:
    for busy, text in [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.3, "12 s"),
        (119.0, "119 s"),
        (150.0, "2 min"),
        (7199.0, "120 min"),
        (36_000.0, "10.0 h"),
    ]:
        assert tree(node("/a", busy=busy)).format().endswith(f"  handling {text}")


def test_a_wait_without_a_limit_has_none_to_name() -> None:
    waits = (WaitsFor("room", "/b", float("inf")),)
    assert tree(node("/a", waits=waits)).format().endswith("waits for room at /b")


def test_a_failure_of_a_child_is_told_once() -> None:
    failure = Failure("/top/a", "Crashed", "Boom", None, None, 999.0)
    child = node("/top/a", failure=failure)
    top = node("/top", is_supervisor=True, failed_child=failure, children=(child,))
    assert tree(top).format().count("failed 1.0 s ago: Crashed, Boom") == 1


def test_flags_without_a_place_stand_alone() -> None:
    full = node("/a", flags=frozenset([NodeFlag.NEAR_FULL]))
    assert tree(full).format().splitlines()[-1] == "       ! NEAR_FULL"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 79}, "width must be at least 80, got 79"),
        ({"width": "80"}, "width must be an int of at least 0, got '80'"),
        ({"children": -1}, "children must be an int of at least 0, got -1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tree().format(**options)


def test_trees_are_values() -> None:
    assert FULL == FULL
    assert hash(FULL.rings[0]) == hash(
        Ring(("/writer", "/rooms/17"), frozenset(["/rooms/17"]))
    )
    with pytest.raises(AttributeError):
        FULL.root.path = "/other"  # type: ignore[misc]


def test_a_place_is_named_by_its_file_alone() -> None:
    assert place("/srv/app/room.py", 7, "f") == "room.py:7 in f"
    assert place("C:\\app\\room.py", 7, "f") == "room.py:7 in f"
    assert place("<string>", None, "f") == "<string>:None in f"
