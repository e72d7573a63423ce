"""Write behaviours.md: which test holds which behaviour of the reference systems.

    python docs/build_behaviours.py

What OTP, Elixir and Pekko test is in behaviours.toml.  A test of ours that holds
one says so in its docstring: ``Behaviour 30: hanging_restart_loop.``, or
``Behaviours 30, 31: ...``.  A test fails where the page is stale.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGE = DOCS / "behaviours.md"
DATA = DOCS / "behaviours.toml"

SAID = re.compile(r"Behaviours? (\d+(?:, \d+)*): \S")

HEAD = """\
# Behaviours

What the tests of OTP, Elixir and Pekko check, and which test checks it here.
{holding} of {all} hold, {rest} do not apply.
A test that is named here is run on asyncio and on Trio, unless it needs no event loop.

This page is generated; [concepts](concepts.md) says what the words mean.
"""


@dataclass(frozen=True, slots=True)
class Test:
    """One test, and the behaviours that it says it holds."""

    file: str
    name: str
    numbers: tuple[int, ...]


@dataclass(slots=True)
class Behaviour:
    """One behaviour of a reference system.

    Attributes:
        number: Its number.
        name: Of the reference's own test.
        says: What that checks.
        why_not: Why it does not apply here, if it does not.
        tests: Those of ours that hold it.
    """

    number: int
    name: str
    says: str
    why_not: str | None = None
    tests: list[Test] = field(default_factory=list[Test])


@dataclass(frozen=True, slots=True)
class Section:
    """Behaviours that belong together."""

    title: str
    source: str
    behaviours: list[Behaviour]


def read_tests(root: Path) -> Iterator[Test]:
    """Every test below *root* that names a behaviour, file by file."""
    for file in sorted(root.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                said = SAID.match(ast.get_docstring(node) or "")
                if said is not None:
                    numbers = tuple(map(int, said[1].split(", ")))
                    path = file.relative_to(root.parent).as_posix()
                    yield Test(path, node.name, numbers)


def read_sections(data: dict[str, Any]) -> list[Section]:
    """The behaviours, as they stand in *data*."""
    reasons = data["does_not_apply"]
    return [
        Section(
            f"{letter}. {section['title']}",
            section["source"],
            [
                Behaviour(int(number), name, says, reasons.get(number))
                for number, (name, says) in section["behaviours"].items()
            ],
        )
        for letter, section in data.items()
        if section is not reasons
    ]


def join(sections: list[Section], tests: list[Test]) -> list[str]:
    """Give each behaviour its tests; return what does not fit."""
    faults: list[str] = []
    known = {each.number: each for part in sections for each in part.behaviours}
    for test in tests:
        where = f"{test.file}::{test.name}"
        if not test.name.startswith("test_"):
            faults.append(f"{where} is no test")
        for number in test.numbers:
            if number in known:
                known[number].tests.append(test)
            else:
                faults.append(f"{where}: there is no behaviour {number}")
    for each in known.values():
        if not each.tests and each.why_not is None:
            faults.append(f"behaviour {each.number} has neither a test nor a reason")
        if each.tests and each.why_not is not None:
            faults.append(f"behaviour {each.number} has a test and a reason against it")
    return faults


def build(sections: list[Section]) -> str:
    """The page."""
    behaviours = [each for part in sections for each in part.behaviours]
    holding = sum(bool(each.tests) for each in behaviours)
    rest = sum(each.why_not is not None for each in behaviours)
    blocks = [HEAD.format(holding=holding, all=len(behaviours), rest=rest).rstrip()]
    for part in sections:
        blocks.append(f"## {part.title}")
        blocks.append(f"{part.source}.")
        rows = ["| | reference | behaviour | test |", "| --- | --- | --- | --- |"]
        rows += [row(each) for each in part.behaviours]
        blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def row(each: Behaviour) -> str:
    """One line of a table."""
    if each.why_not is not None:
        result = f"does not apply: {each.why_not}"
    elif each.tests:
        result = "holds: " + "<br>".join(map(link, each.tests))
    else:
        result = "open"
    name, says = (text.replace("|", "\\|") for text in (each.name, each.says))
    return f"| {each.number} | `{name}` | {says} | {result} |"


def link(test: Test) -> str:
    """A test, and the file that it is in."""
    return f"[{Path(test.file).stem}](../{test.file})::{test.name}"


def load(root: Path = ROOT) -> tuple[list[Section], list[str]]:
    """The behaviours with the tests of this repository; and what does not fit."""
    sections = read_sections(tomllib.loads(DATA.read_text("utf-8")))
    return sections, join(sections, list(read_tests(root / "tests")))


def main() -> None:
    """Write the page; say what does not fit."""
    sections, faults = load()
    PAGE.write_text(build(sections), encoding="utf-8")
    for fault in faults:
        print(fault)


if __name__ == "__main__":
    main()
