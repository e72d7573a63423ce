"""docs/behaviours.md: complete, and right about the tests."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
AT_LEAST = 150


def builder() -> Any:
    """docs/build_behaviours.py, which is a script and in no package."""
    name = "build_behaviours"
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look for themselves there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


BUILDER = builder()


@cache
def loaded() -> tuple[Any, list[str]]:
    """The behaviours, joined with the tests; and what does not fit."""
    sections, faults = BUILDER.load()
    return sections, faults


def test_the_page_is_what_the_tests_say() -> None:
    sections, _ = loaded()
    page = (DOCS / "behaviours.md").read_text(encoding="utf-8")

    assert BUILDER.build(sections) == page, (
        "docs/behaviours.md is stale: run python docs/build_behaviours.py"
    )


def test_every_behaviour_has_a_test_or_a_reason() -> None:
    _, faults = loaded()

    assert faults == []


def test_enough_behaviours_hold() -> None:
    sections, _ = loaded()
    behaviours = [each for part in sections for each in part.behaviours]

    assert [each.number for each in behaviours] == list(range(1, 160))
    assert sum(bool(each.tests) for each in behaviours) >= AT_LEAST


def test_every_test_that_waits_is_run_on_both_event_loops() -> None:
    files = {test.file for test in BUILDER.read_tests(DOCS.parent / "tests")}
    one_loop = [
        file
        for file in sorted(files)
        if "async def test_" in (text := (DOCS.parent / file).read_text("utf-8"))
        and "pytest.mark.anyio" not in text
    ]

    assert files
    assert one_loop == []


# -- the builder, on planted faults ------------------------------------------

DATA: dict[str, Any] = {
    "A": {
        "title": "Start",
        "source": "OTP",
        "behaviours": {
            "1": ["one", "it starts | or not"],
            "2": ["two", "it stops"],
            "3": ["three", "it flies"],
        },
    },
    "does_not_apply": {"3": "it has no wings"},
}

SOUND = '''
async def test_it_starts_and_stops():
    """Behaviours 1, 2: one, two."""

def test_it_stops():
    """Behaviour 2: two."""

def test_something_else():
    """Behaviour is not a word that means anything by itself."""

def test_nothing():
    pass
'''


def joined(tmp_path: Path, source: str) -> tuple[Any, list[str]]:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(source)
    sections = BUILDER.read_sections(DATA)
    tests = list(BUILDER.read_tests(tmp_path / "tests"))
    return sections, BUILDER.join(sections, tests)


def test_a_sound_table_has_no_faults(tmp_path: Path) -> None:
    sections, faults = joined(tmp_path, SOUND)
    page = BUILDER.build(sections)

    assert faults == []
    assert "2 of 3 hold, 1 do not apply." in page
    it = "[test_it](../tests/test_it.py)"
    assert page.splitlines()[-3:] == [
        f"| 1 | `one` | it starts \\| or not | holds: {it}::test_it_starts_and_stops |",
        f"| 2 | `two` | it stops | holds: {it}::test_it_starts_and_stops"
        f"<br>{it}::test_it_stops |",
        "| 3 | `three` | it flies | does not apply: it has no wings |",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Behaviours 1, 2:", "Behaviour 2:", "behaviour 1 has neither a test nor"),
        ("Behaviours 1, 2:", "Behaviours 1, 3:", "behaviour 3 has a test and a reason"),
        ("Behaviours 1, 2:", "Behaviours 1, 4:", "there is no behaviour 4"),
        ("def test_it_stops", "def it_stops", "test_it.py::it_stops is no test"),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in SOUND
    sections, faults = joined(tmp_path, SOUND.replace(old, new))

    assert len([each for each in faults if fault in each]) == 1
    assert ("| open |" in BUILDER.build(sections)) == ("neither" in fault)
