"""Write the generated parts of reference.md from the docstrings.

    python docs/build_reference.py

What stands between `<!-- generated: ... -->` and `<!-- end -->` is replaced; the
rest of the page is written by hand. A test fails where the page is stale.
"""

from __future__ import annotations

import ast
import enum
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import greenroom
import greenroom.adapter
import greenroom.testing

PAGE = Path(__file__).with_name("reference.md")

# Public by name because another file calls them, and of no use to anybody else.
HIDDEN = {
    "ActorSystem": {"restarts", "child_exited"},
    "Backoff": {"delay"},
    "DeadLetters": {"publish"},
    "DynamicSupervisor": {"would_restart", "exited", "backoff_over"},
    "Flow": {"plus"},
    "MemoryClient": {"read"},
    "Monitor": {"deliver"},
    "Supervisor": {"would_restart", "exited", "backoff_over"},
    "Timer": {"expire"},
}
HOOKS = {"started", "receive", "stopped", "killed", "stop_grace", "context"}
SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")

AT_THE_LIMIT = {
    "inbox_messages": "its reader stops reading, and TCP pushes back on the client",
    "outbox_messages": "`overflow` decides; who emits to its sid waits",
    "outbox_bytes": "`overflow` decides; who emits to its sid waits",
    "overflow": "`STOP` disconnects with 1013; the others drop one message",
    "send_seconds": "the client counts as stalled: 1013, and no more is written",
    "handler_grace": "the handler is cancelled",
    "disconnect_seconds": "the handlers are cancelled",
    "close_seconds": "the connection is dropped without a word",
    "drain_seconds": "the drain returns, and the actors are stopped",
    "ack_seconds": "`call` raises `AckTimeout`; a callback is not called",
    "max_message_bytes": "error `too_large`, and a strike",
    "max_depth": "error `too_deep`, and a strike",
    "max_strikes": "one more disconnects with 1008",
    "max_rooms": "`join` raises `ValueError`",
    "max_acks": "`call` raises `AdapterError`; a callback is not called",
}


def build(page: str) -> str:
    """*page* with its generated parts made anew."""

    def replace(match: re.Match[str]) -> str:
        kind, _, rest = match[1].partition(" ")
        text = "\n".join(GENERATORS[kind](rest.split())).strip()
        return f"<!-- generated: {match[1]} -->\n\n{text}\n\n<!-- end -->"

    pattern = r"<!-- generated: (.+?) -->\n.*?<!-- end -->"
    return re.sub(pattern, replace, page, flags=re.DOTALL)


# -- what is generated -----------------------------------------------------


def names(wanted: list[str]) -> Iterator[str]:
    """The entries of some names; ``module:`` before them says where from."""
    module: ModuleType = greenroom
    if wanted[0].endswith(":"):
        module = getattr(greenroom, wanted.pop(0)[:-1])
    for name in wanted:
        yield from entry(name, getattr(module, name))


def options(_: list[str]) -> Iterator[str]:
    """The table of the options of an adapter."""
    meaning = attributes_of(greenroom.Options)
    defined = {field.name for field in fields(greenroom.Options)}
    assert defined == set(AT_THE_LIMIT), defined ^ set(AT_THE_LIMIT)
    yield "| option | default | what it bounds | at the limit |"
    yield "| --- | --- | --- | --- |"
    for field in fields(greenroom.Options):
        default = f"{literal(field.default)}{unit(field.name)}"
        row = f"`{field.name}`", default, meaning[field.name], AT_THE_LIMIT[field.name]
        yield f"| {' | '.join(row)} |"


def statistics(wanted: list[str]) -> Iterator[str]:
    """The table of the fields of a snapshot."""
    kind = getattr(greenroom.adapter, wanted[0], None)
    kind = getattr(greenroom, wanted[0]) if kind is None else kind
    meaning = attributes_of(kind) | dict(documented_assignments(kind))
    yield "| field | meaning |"
    yield "| --- | --- |"
    for field in fields(kind):
        yield f"| `{field.name}` | {meaning.get(field.name, '')} |"


GENERATORS: dict[str, Callable[[list[str]], Iterator[str]]] = {
    "names": names,
    "options": options,
    "statistics": statistics,
}


def unit(name: str) -> str:
    """The unit of an option, which its name says."""
    if name.endswith("_seconds") or name == "handler_grace":
        return " s"
    return " bytes" if name.endswith("_bytes") else ""


# -- one entry -------------------------------------------------------------


def entry(name: str, value: Any) -> Iterator[str]:
    """Heading, signature, docstring and members of one public name."""
    yield f"### {name}\n"
    if not inspect.isclass(value):
        yield from entry_of_a_function_or_value(name, value)
        return
    if issubclass(value, enum.Enum):
        yield f"{doc_of(value)}\n"
        meaning = dict(documented_assignments(value))
        for member in value:
            said = meaning.get(member.name)
            yield f"- `{member.name}`" + (f": {said}" if said else "")
        yield ""
        return
    yield f"`{heading(name, value)}`\n"
    yield f"{doc_of(value)}\n"
    known = attributes_of(value)
    for attribute, said in documented_assignments(value):
        if attribute not in known:
            yield f"- `{attribute}`: {said}"
    yield ""
    for member, function in members(name, value):
        yield from entry_of_a_member(member, function)


def entry_of_a_function_or_value(name: str, value: Any) -> Iterator[str]:
    if inspect.isfunction(value):
        yield f"`{prefix(value)}{name}{signature(value)}`\n"
        yield f"{doc_of(value)}\n"
        return
    meaning = dict(documented_names(value))
    if name in meaning:
        yield f"{meaning[name]}\n"
    else:
        yield f"`{plain(str(value))}`\n"


def entry_of_a_member(name: str, member: Any) -> Iterator[str]:
    if isinstance(member, property):
        assert member.fget is not None
        returns = inspect.signature(member.fget).return_annotation
        yield f"**`{name}: {plain(returns)}`**\n"
        yield f"{doc_of(member)}\n"
    else:
        yield f"**`{prefix(member)}{name}{signature(member)}`**\n"
        yield f"{doc_of(member)}\n"


def members(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    """The methods and properties of *kind* that are for its users."""
    hidden = HIDDEN.get(name, set[str]())
    if kind is not greenroom.Actor and issubclass(kind, greenroom.Actor):
        hidden |= HOOKS
    seen: set[str] = set()
    for owner in kind.__mro__:
        ours = owner.__module__.startswith("greenroom")
        if not ours or (owner is greenroom.Actor and kind is not owner):
            continue
        for member, value in vars(owner).items():
            if member in seen or member in hidden or member.startswith("_"):
                continue
            if isinstance(value, property) or inspect.isfunction(value):
                seen.add(member)
                yield member, value


def heading(name: str, kind: type) -> str:
    """How a class is made, or what it is where users do not make it."""
    if issubclass(kind, BaseException):
        bases = ", ".join(base.__name__ for base in kind.__bases__)
        return f"{name}({bases})"
    made = "__init__" in vars(kind)
    if is_dataclass(kind) or made:
        return f"{name}{signature(kind)}"
    return name


# -- signatures ------------------------------------------------------------


def prefix(function: Any) -> str:
    inner = inspect.unwrap(function)
    if inspect.isasyncgenfunction(inner):
        return "async with "
    return "await " if inspect.iscoroutinefunction(function) else ""


def signature(function: Any) -> str:
    """The signature as it was written, on one line, without ``self``."""
    parameters: list[str] = []
    starred = False
    found = inspect.signature(function)
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            parameters.append("*")
        text = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred, text = True, f"*{text}"
        if parameter.annotation is not parameter.empty:
            text += f": {plain(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {literal(parameter.default)}"
        parameters.append(text)
    returns = found.return_annotation
    with_return = not inspect.isclass(function) and returns is not found.empty
    return f"({', '.join(parameters)})" + (
        f" -> {plain(returns)}" if with_return else ""
    )


def plain(annotation: object) -> str:
    """An annotation as a reader writes it: no variance in names, no quotes."""
    text = annotation if isinstance(annotation, str) else repr(annotation)
    text = re.sub(r"\b([A-Z])_(?:contra|co)\b", r"\1", text)
    text = re.sub(r"\bAsync(?:Generator|Iterator)\[(.*)\]$", r"\1", text)
    return re.sub(r"\b(?:typing|collections\.abc|greenroom[\w.]*)\.", "", text)


def literal(value: object) -> str:
    """A default as it is written in a program."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if is_dataclass(value):
        return f"{type(value).__name__}()"
    if value == math.inf:
        return "math.inf"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}" if value >= 10_000 else str(value)
    return "..." if value is ... else repr(value)


# -- docstrings ------------------------------------------------------------


def doc_of(value: Any) -> str:
    """A docstring as Markdown."""
    text = inspect.getdoc(value) or ""
    # What a dataclass makes up for itself is its signature once more.
    if inspect.isclass(value) and text.startswith(f"{value.__name__}("):
        text = ""
    blocks: list[str] = []
    for block in re.split(r"\n\n(?=\S)|\n(?=(?:" + "|".join(SECTIONS) + r"):\n)", text):
        label, _, body = block.partition(":\n")
        if label in SECTIONS:
            blocks.append(section(label, textwrap.dedent(body)))
        else:
            blocks.append(block)
    return "\n\n".join(blocks).replace("``", "`").strip()


def section(label: str, body: str) -> str:
    if label in ("Returns", "Yields"):
        return f"{label}: {one_line(body)}"
    items = "\n".join(f"- `{name}`: {said}" for name, said in items_of(body))
    return f"{label}:\n\n{items}"


def items_of(body: str) -> Iterator[tuple[str, str]]:
    """The names of a section, and what is said of each."""
    for item in re.split(r"\n(?=\S)", body.strip()):
        name, _, said = item.partition(": ")
        yield name, one_line(said)


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def attributes_of(kind: type) -> dict[str, str]:
    """What the docstring of *kind* says of its attributes."""
    _, _, body = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    # The section ends where a line is not indented.
    body = re.split(r"\n(?=\S)", body)[0]
    return dict(items_of(textwrap.dedent(body))) if body else {}


def documented_assignments(kind: type) -> Iterator[tuple[str, str]]:
    """The assignments in a class, with the string that stands below each."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    yield from with_strings_below(tree.body)


def documented_names(value: object) -> Iterator[tuple[str, str]]:
    """Those of the modules that hold what is neither class nor function."""
    for module in (greenroom.supervision, greenroom.testing, greenroom.adapter):
        package = Path(str(module.__file__)).parent
        for file in sorted(package.glob("_*.py")):
            yield from with_strings_below(ast.parse(file.read_text("utf-8")).body)


def with_strings_below(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, below in zip(body, body[1:], strict=False):
        target: ast.expr | None = None
        if isinstance(statement, ast.AnnAssign):
            target = statement.target
        elif isinstance(statement, ast.Assign):
            target = statement.targets[0]
        if isinstance(target, ast.Name) and isinstance(below, ast.Expr):
            if isinstance(below.value, ast.Constant):
                yield target.id, one_line(str(below.value.value))


if __name__ == "__main__":
    PAGE.write_text(build(PAGE.read_text("utf-8")), "utf-8")
