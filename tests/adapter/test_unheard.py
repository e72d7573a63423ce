"""Requests that hypercorn ends by itself are counted, whoever's they were to be."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from greenroom import ActorAdapter
from greenroom.adapter._unheard import UNHEARD, count_unheard

pytestmark = pytest.mark.anyio

h11 = pytest.importorskip("h11")


class H11Protocol:
    """hypercorn's connection of HTTP/1.1, between requests."""

    def __init__(
        self, waiting: bytes, version: bytes | None, *, answered: bool = False
    ) -> None:
        self.stream: object = None
        self.connection = SimpleNamespace(
            trailing_data=(waiting, False),
            their_http_version=version,
            our_state=h11.MUST_CLOSE if answered else h11.IDLE,
        )
        self.answers: list[int] = []

    async def _send_error_response(self, status: int) -> None:
        self.answers.append(status)


class TCPServer:
    """hypercorn's TCP connection, which closes it when it has waited enough."""

    def __init__(self, protocol: object) -> None:
        self.protocol = SimpleNamespace(protocol=protocol)
        self.closed = 0

    async def _initiate_server_close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """hypercorn is what the test says."""
    for name, kind in (
        ("hypercorn.protocol.h11", H11Protocol),
        ("hypercorn.asyncio.tcp_server", TCPServer),
    ):
        module: Any = ModuleType(name)
        setattr(module, kind.__name__, type(kind.__name__, (kind,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    # Not imported, as on the other worker.
    monkeypatch.delitem(sys.modules, "hypercorn.trio.tcp_server", raising=False)


def of(module: str, kind: str) -> Any:
    return getattr(sys.modules[module], kind)


async def test_what_it_answers_by_itself_is_counted_once_and_answered() -> None:
    count_unheard()
    count_unheard()
    protocol = of("hypercorn.protocol.h11", "H11Protocol")(b"", None)
    await protocol._send_error_response(431)
    assert protocol.answers == [431]
    statistics = ActorAdapter().statistics()
    assert (statistics.malformed_requests, statistics.unfinished_requests) == (1, 0)


@pytest.mark.parametrize(
    ("waiting", "version", "unfinished"),
    [
        (b"", None, 1),
        (b"GET /w", None, 1),
        (b"GET /w", b"1.1", 1),
        # Kept alive for a next one, which has not come.
        (b"", b"1.1", 0),
    ],
)
async def test_what_is_not_whole_when_its_time_is_over_is_counted(
    waiting: bytes, version: bytes | None, unfinished: int
) -> None:
    count_unheard()
    server = of("hypercorn.asyncio.tcp_server", "TCPServer")(
        H11Protocol(waiting, version)
    )
    await server._initiate_server_close()
    assert server.closed == 1
    statistics = ActorAdapter().statistics()
    assert statistics.malformed_requests == 0
    assert statistics.unfinished_requests == unfinished


@pytest.mark.parametrize("protocol", [None, SimpleNamespace(streams={})])
async def test_what_is_answered_or_is_no_http_1_is_not(protocol: object) -> None:
    count_unheard()
    answering = H11Protocol(b"GET /w", None)
    answering.stream = object()
    answered = H11Protocol(b"GET /w\0", None, answered=True)
    for each in (protocol, answering, answered):
        server = of("hypercorn.asyncio.tcp_server", "TCPServer")(each)
        await server._initiate_server_close()
        assert server.closed == 1
    assert UNHEARD.unfinished == 0


async def test_what_is_not_as_it_was_is_said_once_and_closed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    count_unheard()
    server = of("hypercorn.asyncio.tcp_server", "TCPServer")(
        SimpleNamespace(stream=None)
    )
    for _ in range(2):
        await server._initiate_server_close()
    assert server.closed == 2
    assert UNHEARD.unfinished == 0
    assert len(caplog.records) == 1
    assert "plain ASGI" in caplog.text
