"""What README.md promises a reader who tries it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of the README in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_ci_runs_the_commands_of_the_readme_to_the_letter() -> None:
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    start, test = (block.strip() for block in blocks("sh")[:2])

    assert start.endswith("/hypercorn --worker-class trio examples.chat:app")
    assert "/tox " in test
    assert {start, test} <= {line.strip() for line in ran}


@pytest.mark.parametrize("program", blocks("python"))
def test_an_example_in_the_readme_runs(program: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=program,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


def test_every_link_in_the_readme_leads_to_a_file() -> None:
    targets = [
        target.split("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", README)
        if "://" not in target and not target.startswith("#")
    ]

    assert targets
    assert [each for each in targets if not (ROOT / each).exists()] == []
