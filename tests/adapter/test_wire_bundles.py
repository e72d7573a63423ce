"""Messages in one piece: what the socket does not take of them is not lost."""

from __future__ import annotations

import itertools
import os

import anyio
import pytest

from greenroom.adapter import Bundle, Message

from ..conftest import BACKENDS
from .stock import TEXT
from .wired import wired

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Asyncio, then Trio, on the real clock: here are real sockets."""
    return request.param, BACKENDS[request.param]


async def test_of_a_bundle_a_full_socket_takes_the_first_messages(
    anyio_backend_name: str,
) -> None:
    block = "x" * 30_000
    async with wired(anyio_backend_name, small=True) as (wire, peer, _):
        taken, number = 0, 0
        bundle: Bundle[Message]
        while True:
            bundle = Bundle([Message(f"{number + n}{block}") for n in range(3)])
            taken = wire.try_write_all(bundle)
            number += taken
            if taken < 3:
                break
            assert number < 1000
        # What comes now waits its turn.
        assert wire.try_write_all(bundle) == 0
        seen: list[bytes] = []
        async with anyio.create_task_group() as group:
            group.start_soon(wire.flush)
            group.start_soon(wire.write, Message("last"))
            while not seen or seen[-1] != b"last":
                first, payload = await peer.frame()
                assert first == TEXT
                seen.append(payload)
        assert seen == [f"{n}{block}".encode() for n in range(number)] + [b"last"]


async def test_a_bundle_that_is_cut_anywhere_loses_nothing(
    anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if anyio_backend_name == "asyncio":
        pytest.skip("its transport takes all or nothing")
    bundle = Bundle([Message(word) for word in ("alpha", "beta", "gamma")])
    ends = list(itertools.accumulate(len(each.plain()) for each in bundle.messages))
    write = os.write
    async with wired(anyio_backend_name) as (wire, peer, _):
        for taken in range(ends[-1] + 1):

            def written(number: int, data: bytes, taken: int = taken) -> int:
                if not taken:
                    raise BlockingIOError
                return write(number, data[:taken])

            with monkeypatch.context() as patch:
                patch.setattr(os, "write", written)
                number = wire.try_write_all(bundle)
            # Those that were begun; and the last of them is finished by `flush`.
            assert number == sum(end < taken for end in [0, *ends[:-1]])
            assert wire.unsent == (taken not in (0, *ends))
            await wire.flush()
            for message in bundle.messages[number:]:
                await wire.write(message)
            got = [(await peer.frame())[1] for _ in range(3)]
            assert got == [b"alpha", b"beta", b"gamma"]
