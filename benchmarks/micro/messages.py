"""One producer and one receiver: tell, bounded send, ask."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from greenroom import Actor, ActorSystem, MailboxOptions

from .duel import Duel, Finish, Turn

CAPACITY: Final = 1000
_WINDOWS: Final = 10
_ASKS: Final = 1000
_LAST: Final = object()


async def _consume(receive: MemoryObjectReceiveStream[object], finish: Finish) -> None:
    async for message in receive:
        if message is _LAST:
            finish.arrived()


class _Sink(Actor[object]):
    def __init__(self, finish: Finish) -> None:
        self._finish = finish


class _Consumer(_Sink):
    async def receive(self, message: object) -> None:
        if message is _LAST:
            self._finish.arrived()


class _PlainConsumer(_Sink):
    """With the faster form of ``receive``, which a stream has no equal of."""

    def receive(self, message: object) -> None:
        if message is _LAST:
            self._finish.arrived()


def _tells(put: Callable[[object], object], finish: Finish) -> Turn:
    async def tell() -> float:
        start = time.process_time()
        for _ in range(_WINDOWS):
            finish.expect(1)
            for number in range(CAPACITY - 1):
                put(number)
            put(_LAST)
            await finish.wait()
        return (time.process_time() - start) / (_WINDOWS * CAPACITY)

    return tell


def _sends(send: Callable[[object], Awaitable[object]], finish: Finish) -> Turn:
    async def send_all() -> float:
        start = time.process_time()
        finish.expect(1)
        for number in range(_WINDOWS * CAPACITY - 1):
            await send(number)
        await send(_LAST)
        await finish.wait()
        return (time.process_time() - start) / (_WINDOWS * CAPACITY)

    return send_all


@asynccontextmanager
async def _stream(*, waits: bool) -> AsyncGenerator[Turn, None]:
    send, receive = anyio.create_memory_object_stream[object](CAPACITY)
    finish = Finish()

    async with anyio.create_task_group() as group:
        group.start_soon(_consume, receive, finish)
        yield _sends(send.send, finish) if waits else _tells(send.send_nowait, finish)
        send.close()
    receive.close()


@asynccontextmanager
async def _actor(*, waits: bool, plain: bool = False) -> AsyncGenerator[Turn, None]:
    finish = Finish()
    consumer = _PlainConsumer if plain else _Consumer

    async with ActorSystem() as system:
        ref = await system.spawn(
            lambda: consumer(finish), mailbox=MailboxOptions(capacity=CAPACITY)
        )

        yield _sends(ref.send, finish) if waits else _tells(ref.tell, finish)


class _Question:
    __slots__ = ("answer", "answered", "value")

    def __init__(self, value: int) -> None:
        self.value = value
        self.answer = 0
        self.answered = anyio.Event()


@asynccontextmanager
async def _stream_ask() -> AsyncGenerator[Turn, None]:
    """The usual way to get an answer over a stream: an event sent along."""
    send, receive = anyio.create_memory_object_stream[_Question](CAPACITY)

    async def answer() -> None:
        async for question in receive:
            question.answer = question.value + 1
            question.answered.set()

    async def ask() -> float:
        start = time.process_time()
        for number in range(_ASKS):
            question = _Question(number)
            await send.send(question)
            await question.answered.wait()
            assert question.answer == number + 1
        return (time.process_time() - start) / _ASKS

    async with anyio.create_task_group() as group:
        group.start_soon(answer)
        yield ask
        send.close()
    receive.close()


class _Successor(Actor[int]):
    async def receive(self, message: int) -> int:
        return message + 1


@asynccontextmanager
async def _actor_ask() -> AsyncGenerator[Turn, None]:
    async with ActorSystem() as system:
        ref = await system.spawn(_Successor)

        async def ask() -> float:
            start = time.process_time()
            for number in range(_ASKS):
                assert await ref.ask(number) == number + 1
            return (time.process_time() - start) / _ASKS

        yield ask


DUELS = (
    Duel("tell", lambda: _stream(waits=False), lambda: _actor(waits=False)),
    Duel(
        "tell, plain receive",
        lambda: _stream(waits=False),
        lambda: _actor(waits=False, plain=True),
    ),
    Duel("bounded send", lambda: _stream(waits=True), lambda: _actor(waits=True)),
    Duel("ask", _stream_ask, _actor_ask),
)
