"""The order of the floors, held: actors, then supervision, then adapter."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "actors": Path("actors"),
    "supervision": Path("supervision"),
    "adapter": Path("adapter"),
    "metrics": Path("src/greenroom/metrics"),
    "testing": Path("src/greenroom/testing"),
}
MAY_USE = {
    "actors": set[str](),
    "supervision": {"actors"},
    "adapter": {"actors", "supervision"},
    "metrics": {"adapter"},
    "testing": {"actors", "supervision", "adapter"},
}


def modules(root: Path) -> dict[str, Path]:
    """The files of every floor, by the names they are installed under."""
    return {
        ".".join(["greenroom", floor, *place.parts]).removesuffix(".__init__"): file
        for floor, folder in FLOORS.items()
        for file in (root / folder).rglob("*.py")
        for place in [file.relative_to(root / folder).with_suffix("")]
    }


def imports(name: str, file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Level, module and names of every import in *file*, functions included."""
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            yield node.level, base, [alias.name for alias in node.names]


def faults(root: Path) -> list[str]:
    """What in the tree at *root* breaks the order of the house."""
    found: list[str] = []
    known = modules(root)
    graph: dict[str, set[str]] = {name: set() for name in known}
    for name, file in known.items():
        floor = name.split(".")[1]
        for level, base, names in imports(name, file):
            top = base.split(".")[0]
            if level == 0 and top in {"greenroom", *FLOORS}:
                found.append(f"{name} does not name {base} relatively")
            if top != "greenroom":
                continue
            # `from . import _ref` names a module, `from ._ref import X` does not.
            full_names = [f"{base}.{each}" for each in names] or [base]
            for target in {each if each in known else base for each in full_names}:
                graph[name].add(target)
                _, other, *inside = [*target.split("."), ""]
                if other != floor and other not in MAY_USE[floor]:
                    found.append(f"{name} may not use {target}")
                elif other != floor and any(inside):
                    found.append(f"{name} reaches past the face of {other}")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append("cycle: " + ", ".join(sorted(set(error.args[1]))))
    return found


def test_the_house_stands() -> None:
    assert {name.split(".")[1] for name in modules(ROOT)} == set(FLOORS)
    assert faults(ROOT) == []


@pytest.fixture
def sound_house(tmp_path: Path) -> Path:
    """A small tree without a fault, to plant one in."""
    for folder in FLOORS.values():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").write_text("from ._one import One\n")
        (tmp_path / folder / "_one.py").write_text("import anyio\nclass One: ...\n")
        (tmp_path / folder / "_two.py").write_text("from ._one import One\n")
    (tmp_path / "adapter/_three.py").write_text("from ..supervision import One\n")
    (tmp_path / "src/greenroom/testing/_three.py").write_text(
        "from .. import actors\nfrom ..adapter import One\n"
    )
    return tmp_path


def test_a_sound_house_has_no_faults(sound_house: Path) -> None:
    assert faults(sound_house) == []


@pytest.mark.parametrize(
    ("file", "planted", "fault"),
    [
        pytest.param(
            "actors/_three.py",
            "from ..supervision import One",
            "greenroom.actors._three may not use greenroom.supervision",
            id="upwards",
        ),
        pytest.param(
            "supervision/_three.py",
            "def late() -> None:\n    from .. import adapter",
            "greenroom.supervision._three may not use greenroom.adapter",
            id="upwards, inside a function",
        ),
        pytest.param(
            "actors/inner/_three.py",
            "from ...adapter._one import One",
            "greenroom.actors.inner._three may not use greenroom.adapter._one",
            id="upwards, from a subfolder",
        ),
        pytest.param(
            "adapter/_three.py",
            "from ..testing import One",
            "greenroom.adapter._three may not use greenroom.testing",
            id="the testing tools",
        ),
        pytest.param(
            "adapter/_three.py",
            "from .. import One",
            "greenroom.adapter._three may not use greenroom",
            id="the public face",
        ),
        pytest.param(
            "adapter/_three.py",
            "import greenroom.actors",
            "greenroom.adapter._three does not name greenroom.actors relatively",
            id="a neighbour by its absolute name",
        ),
        pytest.param(
            "adapter/_three.py",
            "from actors import One",
            "greenroom.adapter._three does not name actors relatively",
            id="a neighbour by its folder",
        ),
        pytest.param(
            "supervision/_three.py",
            "from ..actors._one import One",
            "greenroom.supervision._three reaches past the face of actors",
            id="a neighbour's privates",
        ),
        pytest.param(
            "actors/_one.py",
            "def late() -> None:\n    from . import _two",
            "cycle: greenroom.actors._one, greenroom.actors._two",
            id="a cycle of two files",
        ),
        pytest.param(
            "actors/_one.py",
            "from . import Two",
            "cycle: greenroom.actors, greenroom.actors._one",
            id="a cycle through the face of the folder",
        ),
    ],
)
def test_a_planted_fault_is_found(
    sound_house: Path, file: str, planted: str, fault: str
) -> None:
    (sound_house / file).parent.mkdir(exist_ok=True)
    (sound_house / file).write_text(planted + "\n")

    assert fault in faults(sound_house)
