"""Watch: being told what happens to the actors of a system, while it happens.

A watermark is passed in one place, which says so.  That a handler does not end
is said by nobody: it takes a look at the tree every now and then.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias, final

import anyio

from ..actors import Runtime
from ._signals import receive_signals
from ._tree import NodeFlag, Tree, TreeNode

_log = logging.getLogger("greenroom.supervision")


@final
@dataclass(frozen=True, slots=True)
class LevelChanged:
    """A mailbox has passed a watermark, upward or back.

    Attributes:
        path: Whose.
        level: Watermarks passed: 0, 1 (50 %) or 2 (80 %).
    """

    path: str
    level: int


@final
@dataclass(frozen=True, slots=True)
class FlagRaised:
    """Something is the matter with an actor that was not at the last look.

    Attributes:
        flag: What.
        node: The actor.
    """

    flag: NodeFlag
    node: TreeNode


@final
@dataclass(frozen=True, slots=True)
class FlagCleared:
    """That is over, or the actor is gone.

    Attributes:
        flag: What is over.
        path: The actor.
    """

    flag: NodeFlag
    path: str


SystemEvent: TypeAlias = LevelChanged | FlagRaised | FlagCleared
"""What `ActorSystem.listen` tells."""

Listener: TypeAlias = Callable[[SystemEvent], object]
Forget: TypeAlias = Callable[[], None]


def listen_to_levels(runtime: Runtime, listener: Listener) -> Forget:
    """Tell *listener* of every `LevelChanged`, in place."""

    def hear(path: str, level: int) -> None:
        listener(LevelChanged(path, level))

    runtime.level_listeners.append(hear)

    def forget() -> None:
        if hear in runtime.level_listeners:
            runtime.level_listeners.remove(hear)

    return forget


def listen_to_flags(
    runtime: Runtime, look: Callable[[], Tree], every: float, listener: Listener
) -> Forget:
    """Tell *listener* which flags come and go, as seen *every* so many seconds."""
    scope = anyio.CancelScope()
    raised: dict[tuple[str, NodeFlag], TreeNode] = {}

    def tell(event: SystemEvent) -> None:
        try:
            listener(event)
        except Exception:
            _log.exception("a listener of the system raised")

    def compare() -> None:
        nonlocal raised
        before = raised
        raised = {(node.path, flag): node for node in look() for flag in node.flags}
        for path, flag in before:
            if (path, flag) not in raised:
                tell(FlagCleared(flag, path))
        for (path, flag), node in raised.items():
            if (path, flag) not in before:
                tell(FlagRaised(flag, node))

    async def watch() -> None:
        with scope:
            while True:
                compare()
                await anyio.sleep(every)

    runtime.start_task(watch)
    return scope.cancel


def print_to_stderr(text: str) -> None:
    """Where a person looks who sends a signal."""
    print(text, file=sys.stderr, flush=True)


def show_on_signal(runtime: Runtime, signum: int, show: Callable[[], object]) -> Forget:
    """Call *show* in the event loop whenever the signal comes.

    Raises:
        SignalsUnavailable: It cannot be received here.
    """
    stack = ExitStack()
    arrivals = receive_signals(stack, signum)
    scope = anyio.CancelScope()
    is_open = True

    def close() -> None:
        nonlocal is_open
        if is_open:
            is_open = False
            stack.close()
            scope.cancel()

    async def watch() -> None:
        try:
            with scope:
                # Closed before the first turn, or by what is shown to, it raises.
                while is_open:
                    await anext(arrivals)
                    try:
                        show()
                    except Exception:
                        _log.exception("the tree could not be shown")
        finally:
            close()

    runtime.start_task(watch)
    return close
