"""What the tables in pyproject.toml must not forget."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import greenroom
import greenroom.actors

ROOT = Path(__file__).parents[1]
LINKED = ["actors", "supervision", "adapter"]
FOLDERS = {name: ROOT / name for name in LINKED} | {
    name: ROOT / "src" / "greenroom" / name for name in ("metrics", "testing")
}
PYPROJECT: dict[str, Any] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)


def installed_name(file: Path, folder: str) -> str:
    """The module that *file*, somewhere in *folder*, is installed as."""
    inside = file.relative_to(FOLDERS[folder]).with_suffix("").parts
    return ".".join(["greenroom", folder, *inside]).removesuffix(".__init__")


def test_every_folder_with_code_is_in_the_build_table() -> None:
    on_disk = {
        installed_name(init, folder)
        for folder in FOLDERS
        for init in FOLDERS[folder].rglob("__init__.py")
    }

    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == on_disk | {"greenroom"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_is_installed_under_greenroom(folder: str) -> None:
    names = [installed_name(file, folder) for file in FOLDERS[folder].rglob("*.py")]

    assert names
    assert [name for name in names if find_spec(name) is None] == []


def test_pyright_is_shown_every_folder_with_code() -> None:
    shown = {ROOT / entry for entry in PYPROJECT["tool"]["pyright"]["include"]}

    assert {*FOLDERS.values(), ROOT / "src" / "greenroom" / "__init__.py"} <= shown


def test_greenroom_is_the_only_name_installed() -> None:
    top_level = distribution("greenroom").read_text("top_level.txt")

    assert top_level is not None
    assert top_level.split() == ["greenroom"]


def test_the_marker_for_type_checkers_is_installed() -> None:
    assert (files("greenroom") / "py.typed").is_file()


@pytest.mark.skipif("TOX_ENV_DIR" not in os.environ, reason="not run by tox")
def test_under_tox_the_built_wheel_is_tested_and_not_the_checkout() -> None:
    environment = Path(os.environ["TOX_ENV_DIR"])

    assert Path(greenroom.__file__).is_relative_to(environment)
    assert Path(greenroom.actors.__file__).is_relative_to(environment)


def test_the_short_name_and_the_long_name_are_one_class() -> None:
    assert greenroom.ActorRef is greenroom.actors.ActorRef


@pytest.mark.parametrize("folder", LINKED)
def test_the_link_beside_the_public_face_points_at_the_folder(folder: str) -> None:
    link = ROOT / "src" / "greenroom" / folder
    if not link.is_symlink():
        pytest.skip("this checkout was made without symbolic links")

    assert link.readlink() == Path("..", "..", folder)
    assert link.resolve() == ROOT / folder


def test_only_anyio_and_orjson_come_with_greenroom() -> None:
    requires = distribution("greenroom").requires or []
    always = {re.split(r"[^\w-]", each)[0] for each in requires if "extra" not in each}

    assert always == {"anyio", "orjson"}


def test_greenroom_imports_without_any_extra() -> None:
    extras = ["hypercorn", "nestipy", "starlette", "trio", "trio_asyncio", "uvloop"]
    extras += ["opentelemetry", "prometheus_client"]
    # None in sys.modules makes an import fail as if nothing were installed.
    program = f"""
import sys
sys.modules |= dict.fromkeys({extras!r})
import greenroom.metrics
import greenroom.testing
"""

    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_the_oldest_dependencies_tested_are_those_promised() -> None:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    promised = [*project["dependencies"], *extras["trio"], *extras["hypercorn"]]
    tested = (ROOT / "tests" / "lowest.txt").read_text(encoding="utf-8")

    assert tested.split() == [each.replace(">=", "==") for each in promised]
