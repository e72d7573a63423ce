"""The pages under docs/: their programs run, their links lead somewhere."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import final

import anyio
import pytest

from greenroom import Overflow, Restart, Strategy, Undelivered
from greenroom.testing._nestipy import container_of_its_own

from .stage import App, stage

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))

DIALOGUE = re.compile(r"(?:>|connect|GET) ")


@final
@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and how many lines of its page come before it."""

    language: str
    text: str
    line: int


@final
@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading; its programs build on one another."""

    page: Path
    title: str
    blocks: tuple[Block, ...]

    @property
    def needs_nestipy(self) -> bool:
        return any("from nestipy" in block.text for block in self.blocks)

    @property
    def has_its_own_server(self) -> bool:
        return any("__main__" in block.text for block in self.blocks)


def read_sections(page: Path) -> Iterator[Section]:
    text = page.read_text(encoding="utf-8")
    starts = [match.start() for match in re.finditer("^## ", text, re.MULTILINE)]
    for start, end in pairwise([*starts, len(text)]):
        fences = re.finditer(
            r"^```(\w*)\n(.*?)^```$", text[start:end], re.DOTALL | re.MULTILINE
        )
        blocks = tuple(
            Block(m[1], m[2], text.count("\n", 0, start + m.start()) + 1)
            for m in fences
        )
        yield Section(page, text[start + 3 : text.index("\n", start)], blocks)


SECTIONS = [section for page in PAGES for section in read_sections(page)]


def run(section: Section, backend: str) -> None:
    """Run the programs of *section*, and hold them to what is said of them."""
    module = ModuleType("program")
    sys.modules["program"] = module
    printed = ""
    try:
        for block in section.blocks:
            if block.language == "python":
                printed = run_block(section, block, module, backend)
            elif DIALOGUE.match(block.text):
                anyio.run(play, module.app, block.text, backend=backend)
            elif printed:
                assert printed == block.text
                printed = ""
        assert not printed
    finally:
        del sys.modules["program"]


def run_block(section: Section, block: Block, module: ModuleType, backend: str) -> str:
    """Run one program, and its main; return what it prints."""
    # Tracebacks show page and line; not its path, where pytest would read Python.
    source = "\n" * block.line + block.text
    code = compile(source, f"<{section.page.name}>", "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, module.__dict__)
        main = module.__dict__.pop("main", None)
        if inspect.iscoroutinefunction(main):
            anyio.run(main, backend=backend)
    return printed.getvalue()


async def play(app: App, dialogue: str) -> None:
    with anyio.fail_after(30):
        async with stage(app) as running:
            for line in dialogue.splitlines():
                if line:
                    await running.play(line)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    "section",
    [
        pytest.param(section, id=f"{section.page.stem}: {section.title}")
        for section in SECTIONS
        if any(block.language == "python" for block in section.blocks)
        and not section.has_its_own_server
    ],
)
def test_the_programs_of_a_section_do_what_it_says(
    section: Section, backend: str
) -> None:
    if not section.needs_nestipy:
        run(section, backend)
    elif find_spec("nestipy") is None:
        pytest.skip("nestipy is not installed")
    else:
        with container_of_its_own():
            run(section, backend)


# -- links -----------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """What the headings of *page* can be linked to by, as GitHub makes them."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {each.replace(" ", "-") for each in plain}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    lost: list[str] = []
    for target in targets:
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            lost.append(target)

    assert targets
    assert lost == []


def test_every_section_of_how_to_is_in_its_list() -> None:
    page = ROOT / "docs" / "how-to.md"
    listed = re.findall(r"^- \[(.*)\]\(#", page.read_text("utf-8"), re.MULTILINE)

    assert listed == [each.title for each in SECTIONS if each.page == page]


@pytest.mark.parametrize("kind", [Overflow, Restart, Strategy, Undelivered])
def test_the_concepts_name_every_policy_and_reason(kind: type[Enum]) -> None:
    concepts = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")

    assert [each.name for each in kind if f"`{each.name}`" not in concepts] == []
