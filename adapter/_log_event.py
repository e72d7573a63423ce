"""A log event: something that the adapter writes to its log, and how.

The law: no payloads and no credentials; and all text that a client may have chosen
is quoted, escaped and cut, so that it can neither end a line nor move a cursor.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast, final

_log = logging.getLogger("greenroom.adapter")

_CUT = 64
_LINE = 500
# Of the lines of a traceback, so many from either end.
_LINES = 100

# Fields whose words are ours.  All other text may come from a client.
_OURS = frozenset({"cause", "kind", "path", "sid", "tested", "version"})


def shown(text: str) -> str:
    """*text* as it may stand in a log: quoted, escaped, and cut."""
    # Cut twice: a quotation costs as much as what is quoted, and may be longer.
    return f"{text[:_CUT]!r:.{_CUT}}"


@final
@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that is worth a line in the log.

    Attributes:
        name: What it is called in ``record.event``; it does not change.
        level: One of `logging`.
        text: For people, with the fields in it.
        fields: What there is of it in the record, besides.
        meaning: When it happens.
        hides_text: Whether what an exception says stays out, and only its type and
            where it was raised is told: it may say a credential.
    """

    name: str
    level: int
    text: str
    fields: tuple[str, ...]
    meaning: str
    hides_text: bool = False

    @property
    def enabled(self) -> bool:
        """Whether anybody wants to know: asked first where the fields cost time."""
        return _log.isEnabledFor(self.level)

    def log(self, error: BaseException | None = None, /, **fields: object) -> None:
        """Write it down, with the traceback of *error*."""
        if not _log.isEnabledFor(self.level):
            return
        extra: dict[str, object] = {
            name: shown(value)
            if isinstance(value, str) and name not in _OURS
            else value
            for name, value in fields.items()
        }
        extra["event"] = self.name
        file, line, function, _ = _log.findCaller(stacklevel=2)
        record = _log.makeRecord(
            _log.name,
            self.level,
            file,
            line,
            self.text,
            (extra,),
            exc_info=None,
            func=function,
        )
        # Not by makeRecord, which raises where a record factory of the application's
        # has given the record an attribute of one of these names.
        record.__dict__.update(extra)
        if error is not None:
            # What formatters show of it: its text may be a client's as well.
            if self.hides_text:
                lines = list(_places_of(error))
            else:
                record.exc_info = type(error), error, error.__traceback__
                lines = "".join(traceback.format_exception(error)).rstrip().split("\n")
            record.exc_text = _indented(lines)
        _log.handle(record)


def _places_of(error: BaseException) -> Iterator[str]:
    """Of *error*, and of all that it comes from, the type and where it was raised.

    No line of the source either: what is written there may be a credential, too.
    """
    seen: set[int] = set()
    errors = [error]
    while errors:
        error = errors.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield f"{type(error).__module__}.{type(error).__qualname__}, raised in"
        for frame, line in traceback.walk_tb(error.__traceback__):
            code = frame.f_code
            yield f'  File "{code.co_filename}", line {line}, in {code.co_name}'
        causes = error.__context__, error.__cause__
        errors.extend(each for each in causes if each is not None)
        if isinstance(error, BaseExceptionGroup):
            errors.extend(cast("BaseExceptionGroup[BaseException]", error).exceptions)


def _indented(lines: list[str]) -> str:
    """*lines* of a traceback: those below the first indented, all of them printable."""
    if len(lines) > 2 * _LINES:
        left_out = len(lines) - 2 * _LINES
        lines[_LINES:-_LINES] = [f"... {left_out} lines ..."]
    return "\n  ".join(_printable(line[:_LINE]) for line in lines)


def _printable(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
