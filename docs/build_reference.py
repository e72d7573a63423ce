"""Write the generated parts of reference.md from the docstrings.

    python docs/build_reference.py

What stands between `<!-- generated: ... -->` and `<!-- end -->` is replaced; the
rest of the page is written by hand. What no docstring says is in reference.toml.
A test fails where the page is stale.
"""

from __future__ import annotations

import ast
import enum
import inspect
import math
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import greenroom

PAGE = Path(__file__).with_name("reference.md")
FLOORS = "actors", "supervision", "adapter", "metrics", "testing"
SECTIONS = "Args", "Attributes", "Raises", "Returns", "Yields"
WIDTH = 80

_SAID: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("reference.toml").read_text("utf-8")
)
NOT_MADE: list[str] = _SAID["made_by_the_library"]
HIDDEN: dict[str, list[str]] = _SAID["hidden"]
AT_THE_LIMIT: dict[str, str] = _SAID["at_the_limit"]
UNITS: dict[str, str] = _SAID["units"]
UNITS_BY_NAME = {"_seconds": "s", "_bytes": "bytes", "_messages": "messages"}


def build(page: str) -> str:
    """*page* with its generated parts made anew."""

    def replace(match: re.Match[str]) -> str:
        kind, *arguments = match[1].split()
        text = "\n\n".join(GENERATORS[kind](arguments))
        return f"<!-- generated: {match[1]} -->\n\n{text}\n\n<!-- end -->"

    pattern = r"<!-- generated: (.+?) -->\n.*?<!-- end -->"
    return re.sub(pattern, replace, page, flags=re.DOTALL)


def options(_: list[str]) -> Iterator[str]:
    """The table of the options of an adapter."""
    meaning = attributes_of(greenroom.Options)
    defaults = greenroom.Options()
    rows = [
        (
            f"`{field.name}`",
            literal(getattr(defaults, field.name)),
            unit_of(field.name),
            meaning[field.name],
            AT_THE_LIMIT[field.name],
        )
        for field in fields(greenroom.Options)
    ]
    head = "option", "default", "unit", "what it bounds", "at the limit"
    lines = [head, ["---"] * len(head), *rows]
    yield "\n".join(f"| {' | '.join(row)} |" for row in lines)


def names(wanted: list[str]) -> Iterator[str]:
    """The entries of some names; ``module:`` before them says where from."""
    module: Any = greenroom
    if wanted[0].endswith(":"):
        module = import_module(f"greenroom.{wanted[0][:-1]}")
        wanted = wanted[1:]
    for name in wanted:
        yield f"### {name}"
        value = getattr(module, name)
        yield from (
            of_class(name, value) if inspect.isclass(value) else of_rest(name, value)
        )


GENERATORS: dict[str, Callable[[list[str]], Iterator[str]]] = {
    "names": names,
    "options": options,
}


# -- one entry -------------------------------------------------------------


def of_class(name: str, kind: Any) -> Iterator[str]:
    """Signature, docstring, attributes and methods."""
    below: dict[str, str] = {}
    for owner in ours_of(kind):
        below |= with_strings_below(inspect.getsource(owner), inside=True)
    if enum.Enum in kind.__mro__:
        yield doc_of(kind)
        yield "\n".join(f"- {item(each.name, below)}" for each in kind)
        return
    yield fence(title_of(name, kind))
    if text := doc_of(kind):
        yield text
    attributes: list[str] = []
    if not is_an_actor(kind):
        # Of what users make, the signature names the others.
        attributes = [*below]
        if name in NOT_MADE and "__dataclass_fields__" in vars(kind):
            attributes = [each.name for each in fields(kind)]
    known = attributes_of(kind)
    items = [item(each, below) for each in attributes if each not in known]
    methods: list[str] = []
    for member, value in members_of(name, kind):
        if isinstance(value, property):
            getter: Any = value.fget
            type_of = plain(inspect.signature(getter).return_annotation)
            said = one_line(inspect.getdoc(value) or "")
            said = re.sub(r"\bRaises: (\w+):", r"Raises `\1`:", said)
            items.append(f"`{member}: {type_of}`: {said}")
        else:
            methods += [f"#### {name}.{member}", fence(signed(member, value))]
            methods.append(doc_of(value))
    if items:
        # Under a label, or it would become part of the list before it.
        yield "Properties:" if known else "Attributes:"
        yield "\n".join(f"- {each}" for each in items)
    yield from methods


def of_rest(name: str, value: Any) -> Iterator[str]:
    """A function, or whatever else has a name."""
    if inspect.isfunction(value):
        yield fence(signed(name, value))
        yield doc_of(value)
        return
    for floor in FLOORS:
        package = Path(str(import_module(f"greenroom.{floor}").__file__)).parent
        for file in sorted(package.glob("_*.py")):
            below = dict(with_strings_below(file.read_text("utf-8")))
            if name in below:
                yield below[name]
                return
    yield fence(f"{name} = {plain(value)}")


def item(name: str, meaning: dict[str, str]) -> str:
    return f"`{name}`: {meaning[name]}" if name in meaning else f"`{name}`"


def members_of(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    """The methods and properties of *kind* that are for its users."""
    hidden = set(HIDDEN.get(name, ()))
    if is_an_actor(kind):
        hidden |= set(vars(greenroom.Actor))
    members: dict[str, Any] = {}
    for owner in ours_of(kind):
        members |= vars(owner)
    for member, value in members.items():
        if member in hidden or member.startswith("_"):
            continue
        if isinstance(value, property) or (
            inspect.isfunction(value) and not takes_what_is_private(value)
        ):
            yield member, value


def takes_what_is_private(function: Any) -> bool:
    """Whether a parameter is of a type of ours that has no public name."""
    floors = (import_module(f"greenroom.{floor}") for floor in FLOORS)
    public = {name for floor in floors for name in floor.__all__}
    parameters = inspect.signature(function).parameters.values()
    annotations = " ".join(str(parameter.annotation) for parameter in parameters)
    for name in set(re.findall(r"\w+", annotations)) - public:
        kind = function.__globals__.get(name)
        if inspect.isclass(kind) and kind.__module__.startswith("greenroom"):
            return True
    return False


def is_an_actor(kind: type) -> bool:
    """Whether *kind* is an actor of the library's own: its hooks are its business."""
    return greenroom.Actor in kind.__mro__[1:]


def ours_of(kind: type) -> list[type]:
    """The classes that make up *kind* and are of this library, bases first."""
    mro = reversed(kind.__mro__)
    return [owner for owner in mro if owner.__module__.startswith("greenroom")]


def title_of(name: str, kind: type) -> str:
    """How a class is made; what it is, where users do not make it."""
    if BaseException in kind.__mro__:
        return f"class {name}({', '.join(base.__name__ for base in kind.__bases__)})"
    generic: tuple[Any, ...] = getattr(kind, "__parameters__", ())
    of = f"[{', '.join(plain(each.__name__) for each in generic)}]" if generic else ""
    if name in NOT_MADE or getattr(kind, "_is_protocol", False):
        return f"class {name}{of}"
    return signed(f"{name}{of}", kind)


# -- signatures ------------------------------------------------------------


def signed(name: str, function: Any) -> str:
    """*name* with the signature as it was written, but without ``self``."""
    signature = inspect.signature(function)
    parameters: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in "".join(
            each[0] for each in parameters
        ):
            parameters.append("*")
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        text = f"{stars}{parameter.name}: {plain(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {literal(parameter.default)}"
        parameters.append(text)
    before = "await " if inspect.iscoroutinefunction(function) else ""
    if inspect.isasyncgenfunction(inspect.unwrap(function)):
        before = "async with "
    made = inspect.isclass(function)
    after = "" if made else f" -> {plain(signature.return_annotation)}"
    line = f"{before}{name}({', '.join(parameters)}){after}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"{before}{name}(\n{inner}){after}"


def plain(annotation: object) -> str:
    """An annotation as a reader writes it: no variance, no modules."""
    text = annotation if isinstance(annotation, str) else repr(annotation)
    text = re.sub(r"\b([A-Z])_(?:contra|co)\b", r"\1", text)
    text = re.sub(r"^Async(?:Generator|Iterator)\[(.*)\]$", r"\1", text)
    return re.sub(r"\b(?:typing|random|collections\.abc|greenroom[\w.]*)\.", "", text)


def literal(value: object) -> str:
    """A default as it is written in a program."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if is_dataclass(value):
        return f"{type(value).__name__}()"
    if isinstance(value, Mapping):
        return "{}"  # no other is a default
    if isinstance(value, float):
        return "math.inf" if value == math.inf else f"{value:g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}" if value >= 10_000 else str(value)
    # What has no name of its own, such as AnyIO's task status that is ignored.
    return "..." if " object at 0x" in repr(value) else repr(value)


def unit_of(option: str) -> str:
    """The unit of an option: its name says it, or reference.toml."""
    named = (unit for end, unit in UNITS_BY_NAME.items() if option.endswith(end))
    return next(named, None) or UNITS[option]


def fence(code: str) -> str:
    # Not "python": that is what the tests run.
    return f"```py\n{code}\n```"


# -- docstrings ------------------------------------------------------------


def doc_of(value: Any) -> str:
    """A docstring as Markdown."""
    text = inspect.getdoc(value) or ""
    # What a dataclass makes up for itself is its signature once more.
    if inspect.isclass(value) and text.startswith(f"{value.__name__}("):
        return ""
    blocks: list[str] = []
    for block in re.split(r"\n\n(?=\S)", text):
        label, _, body = block.partition(":\n")
        if label not in SECTIONS:
            blocks.append(block)
        elif label in ("Returns", "Yields"):
            blocks.append(f"{label}: {one_line(body)}")
        else:
            items = items_of(body)
            blocks.append(f"{label}:\n\n" + "\n".join(f"- {each}" for each in items))
    return tidy("\n\n".join(blocks))


def items_of(body: str) -> Iterator[str]:
    """What a section of a docstring lists."""
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(body).strip()):
        name, _, said = entry.partition(":")
        yield f"`{name}`: {one_line(said)}"


def attributes_of(kind: type) -> dict[str, str]:
    """What the docstring of *kind* says of its attributes."""
    _, _, body = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    if not body:
        return {}
    listed = items_of(re.split(r"\n(?=\S)", body)[0])
    pairs = (each.partition(": ") for each in listed)
    return {name.strip("`"): said for name, _, said in pairs}


def with_strings_below(
    source: str, *, inside: bool = False
) -> Iterator[tuple[str, str]]:
    """The assignments of a module or a class with the string below each."""
    body = ast.parse(textwrap.dedent(source)).body
    if inside and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    for statement, below in pairwise(body):
        match statement, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name))
                | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, one_line(text)
            case _:
                pass


def one_line(text: str) -> str:
    return tidy(" ".join(text.split()))


def tidy(text: str) -> str:
    # One blank after a full stop; an indented block keeps its shape.
    return re.sub(r"(?<=\S)  +", " ", text.replace("``", "`"))


if __name__ == "__main__":
    PAGE.write_text(build(PAGE.read_text("utf-8")), "utf-8")
