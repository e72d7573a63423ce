"""A speaking clock: a program of its own, that runs its server itself.

    python examples/served.py [--backend trio] [--bind 127.0.0.1:8000]

SIGTERM and Ctrl-C stop it at once: each client is told 1012, that it may come back,
the server ends, and what the program does beside it ends with it.

Without anything beside the server one needs no program:

    python -m greenroom serve examples.served:adapter [--worker trio]
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from functools import partial

import anyio

import greenroom
from greenroom import ActorAdapter, Client, NotRunning

adapter = ActorAdapter(path="/ws")

say = partial(print, flush=True)


@adapter.on_connect()
async def welcome(event: str, client: Client, data: object) -> None:
    await client.emit("time", time.strftime("%X"))


@adapter.on_disconnect()
async def goodbye(event: str, client: Client, data: object) -> None:
    # Also of those who leave because the server does: it waits for this.
    say(f"gone: {client.close_code} {client.close_reason}")


async def tick() -> None:
    while True:
        await anyio.sleep(1)
        with suppress(NotRunning):  # before the server has started, and after
            await adapter.broadcast("time", time.strftime("%X"))


async def main(bind: str) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        see_off = partial(adapter.drain, code=1012, reason="back in a minute")
        await greenroom.serve(adapter, bind=bind, drain=see_off)
        tasks.cancel_scope.cancel()
    say("stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A speaking clock.")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--bind", default="127.0.0.1:8000")
    options = parser.parse_args()
    anyio.run(main, options.bind, backend=options.backend)
