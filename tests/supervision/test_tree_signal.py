"""The tree, shown at a signal; in real time, as signals come from the system."""

from __future__ import annotations

import os
import signal
from typing import Any

import anyio
import anyio.to_thread
import pytest

from greenroom import (
    ActorNotAlive,
    ActorSystem,
    SignalsUnavailable,
    SupervisorError,
    TreeOptions,
)

from .kit import Journal, Plain, Stubborn, Worker, forever

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run the test on asyncio, then on Trio, both in real time."""
    return request.param, {"debug": False} if request.param == "asyncio" else {}


class Shown(list[str]):
    """What was shown; can be waited for."""

    def __init__(self) -> None:
        self._more = anyio.Event()

    def __call__(self, text: str) -> None:
        self.append(text)
        self._more.set()

    async def next(self) -> str:
        """Send the signal, and wait for what comes of it."""
        self._more = anyio.Event()
        os.kill(os.getpid(), signal.SIGUSR1)
        await self._more.wait()
        return self[-1]


async def test_the_tree_is_shown_whenever_the_signal_comes() -> None:
    shown = Shown()
    async with ActorSystem() as system:
        system.show_on_signal(signal.SIGUSR1, to=shown)
        ref = await system.spawn(Worker("busy", Journal()), name="busy")
        assert "└── busy       Worker      running  0     idle" in await shown.next()
        ref.tell(forever)
        await anyio.wait_all_tasks_blocked()
        assert "└── busy       Worker      running  0     handling 0." in (
            await shown.next()
        )
        assert len(shown) == 2
        ref.kill()


async def test_the_tree_is_shown_also_while_the_system_stops() -> None:
    shown = Shown()
    stubborn = Stubborn()
    async with anyio.create_task_group() as tasks, ActorSystem() as system:
        system.show_on_signal(signal.SIGUSR1, to=shown)
        actor = Worker("slow", Journal(), on_stop=stubborn)
        await system.spawn(actor, name="slow")

        async def look() -> None:
            while "stopping" not in await shown.next():
                pass
            stubborn.release.set()

        tasks.start_soon(look)
    assert "└── slow       Worker      stopping" in shown[-1]


async def test_by_default_it_is_printed_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = Shown()
    async with ActorSystem() as system:
        # In its own turn, so the other is through when this one was shown twice.
        system.show_on_signal(signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR2)
        forget = system.show_on_signal(signal.SIGUSR1, to=shown)
        for _ in range(3):
            await shown.next()
        forget()
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("2 actors\npath")
    assert output.err.endswith("idle\n")


async def test_thresholds_are_up_to_the_one_who_looks() -> None:
    shown = Shown()
    async with ActorSystem() as system:
        always = TreeOptions(slow_seconds=1e-9)
        system.show_on_signal(signal.SIGUSR1, to=shown, options=always)
        ref = await system.spawn(Worker("busy", Journal()), name="busy")
        ref.tell(forever)
        await anyio.wait_all_tasks_blocked()
        assert "! SLOW at kit.py:" in await shown.next()
        ref.kill()


async def test_the_signal_is_given_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    async with ActorSystem() as system:
        forget = system.show_on_signal(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is not before
        forget()
        forget()
        assert signal.getsignal(signal.SIGUSR1) is before
        system.show_on_signal(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before


async def test_once_is_enough_for_some() -> None:
    shown = Shown()

    def once(text: str) -> None:
        shown(text)
        forget()

    async with ActorSystem() as system:
        forget = system.show_on_signal(signal.SIGUSR1, to=once)
        await shown.next()
        await anyio.wait_all_tasks_blocked()
        # The handler of a closed receiver would raise, and end the system.
        await system.spawn(Plain(), name="plain")
    assert len(shown) == 1


async def test_what_cannot_be_shown_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shown = Shown()

    def fail(text: str) -> None:
        shown(text)
        raise ValueError("I/O operation on closed file")

    async with ActorSystem() as system:
        system.show_on_signal(signal.SIGUSR1, to=fail)
        await system.spawn(Plain(), name="plain")
        for _ in range(2):
            await shown.next()
    assert caplog.text.count("the tree could not be shown") == 2


async def test_a_signal_that_cannot_be_caught_is_a_named_error() -> None:
    async with ActorSystem() as system:
        for signum in (signal.SIGKILL, 9999):
            with pytest.raises(SignalsUnavailable, match="cannot be received") as error:
                system.show_on_signal(signum)
            assert error.value.signum == signum
            assert error.value.__cause__ is not None
    assert issubclass(SignalsUnavailable, SupervisorError)


async def test_outside_of_the_main_thread_there_are_no_signals(
    anyio_backend: tuple[str, dict[str, Any]],
) -> None:
    async def main() -> None:
        async with ActorSystem() as system:
            with pytest.raises(SignalsUnavailable):
                system.show_on_signal(signal.SIGUSR1)

    def run() -> None:
        anyio.run(main, backend=anyio_backend[0])

    await anyio.to_thread.run_sync(run)


async def test_after_the_end_there_is_nothing_to_show() -> None:
    system = ActorSystem()
    async with system:
        with pytest.raises(ValueError, match="options must be TreeOptions"):
            system.show_on_signal(signal.SIGUSR1, options=None)  # type: ignore[arg-type]
    with pytest.raises(ActorNotAlive):
        system.show_on_signal(signal.SIGUSR1)
