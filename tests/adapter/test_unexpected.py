"""hypercorn that is not as it was: that is said once, and plain ASGI it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import anyio
import pytest
from wsproto.connection import ConnectionState

from greenroom.adapter import TransportClosed
from greenroom.adapter._asgi import AsgiTransport
from greenroom.adapter._shield import Sips, bound_messages

pytestmark = pytest.mark.anyio

EVENTS = pytest.importorskip("hypercorn.protocol.events")


class Stock:
    """hypercorn's WebSocket stream before the accept, by what says who it is."""

    __module__ = "hypercorn.protocol.ws_stream"

    def __init__(self, agreed: object, *without: str) -> None:
        self.buffer: Any = SimpleNamespace(max_length=1000, endless=False)
        self.closed = False
        self.send = None
        self.scope: dict[str, Any] = {}
        self.agreed = agreed
        self.handshake: Any = SimpleNamespace(accept=self.accept)
        for name in without:
            delattr(self, name)

    def accept(self) -> tuple[object, ...]:
        return 101, self.agreed

    async def app_send(self, message: Any) -> None: ...

    async def handle(self, event: Any) -> None: ...


def said_once(caplog: pytest.LogCaptureFixture) -> bool:
    return caplog.text.count("plain ASGI it is") == len(caplog.records) == 1


@pytest.mark.parametrize("name", ["buffer", "handshake", "scope"])
def test_a_stream_that_is_not_as_it_was_is_left_alone(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stock(None, name)
    bound_messages(stream.app_send, 100)
    bound_messages(stream.app_send, 100)
    assert "handle" not in vars(stream)
    assert said_once(caplog)


AGREED = [
    SimpleNamespace(),
    SimpleNamespace(_proto=SimpleNamespace()),
    SimpleNamespace(
        _proto=SimpleNamespace(extensions=[SimpleNamespace(enabled=lambda: True)])
    ),
    SimpleNamespace(
        _proto=SimpleNamespace(
            extensions=[
                SimpleNamespace(
                    enabled=lambda: True,
                    frame_inbound_header=None,
                    _decompressor="begun",
                )
            ]
        )
    ),
]


@pytest.mark.parametrize("agreed", AGREED)
def test_what_it_agrees_to_that_is_not_as_it_was_is_accepted_all_the_same(
    agreed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stock(agreed)
    bound_messages(stream.app_send, 100)
    assert stream.handshake.accept() == (101, agreed)
    assert said_once(caplog)


async def test_frames_that_are_not_read_as_they_were_come_a_little_at_a_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Read(Stock):
        connection = SimpleNamespace(state=ConnectionState.OPEN)
        sizes: ClassVar[list[int]] = []

        async def handle(self, event: Any) -> None:
            self.sizes.append(len(event.data))

    stream = Read(None)
    await Sips(stream)(EVENTS.Data(1, bytes(2000)))
    assert stream.sizes == [512, 512, 512, 464]
    assert said_once(caplog)


async def test_who_has_left_before_the_accept_is_not_waited_for() -> None:
    stream = Stock(None)
    stream.closed = True
    messages = [{"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    transport = AsgiTransport({}, receive, stream.app_send, 100)
    with pytest.raises(TransportClosed):
        await transport.accept()
    began = anyio.current_time()
    await transport.linger(5)
    assert anyio.current_time() == began
