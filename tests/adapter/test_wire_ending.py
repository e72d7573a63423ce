"""The end of a connection whose peer takes nothing more, on a real hypercorn."""

from __future__ import annotations

import anyio
import pytest

from greenroom.adapter import Message

from ..conftest import BACKENDS
from .wired import wired

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Asyncio, then Trio, on the real clock: here are real sockets."""
    return request.param, BACKENDS[request.param]


async def test_it_settles_when_the_kernel_has_everything(
    anyio_backend_name: str,
) -> None:
    async with wired(anyio_backend_name, small=True) as (wire, peer, _):
        with anyio.fail_after(5):
            await wire.settle()
        assert wire.try_write(Message("x" * 1_000_000))
        settled = anyio.Event()

        async def settle() -> None:
            await wire.flush()
            await wire.settle()
            settled.set()

        async with anyio.create_task_group() as group:
            group.start_soon(settle)
            await anyio.wait_all_tasks_blocked()
            assert not settled.is_set()
            _, payload = await peer.frame()
            assert payload == b"x" * 1_000_000
            with anyio.fail_after(5):
                await settled.wait()


async def test_what_has_ended_settles_and_expires_without_a_word(
    anyio_backend_name: str,
) -> None:
    async with wired(anyio_backend_name, small=True) as (wire, _, app):
        wire.expire(0)
        # More than the kernel can count.
        wire.expire(1e9)
        wire.abort()
        await app.leave.wait()
        with anyio.fail_after(5):
            await wire.settle()
        wire.expire(1.5)
        wire.abort()
