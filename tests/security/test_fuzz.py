"""Whatever comes: messages and handshakes that nobody has thought of."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom import ActorAdapter, Handshake, Identity, Options
from greenroom.adapter import (
    BadFrame,
    Codec,
    Event,
    JsonEnvelope,
    Packet,
    PayloadHooks,
)

from ..adapter.asgi import Asgi
from .kit import Processor, knock
from .strategies import DEPTH, headers, messages, queries

MOST = 4096
CLOSE = "websocket.close"
CODES = {
    "binary",
    "too_large",
    "too_deep",
    "malformed",
    "not_an_object",
    "ambiguous",
    "bad_event",
    "bad_namespace",
    "bad_id",
    "bad_ack",
}


def read(codec: Codec, frame: str | bytes) -> Packet | BadFrame:
    """What *frame* says, or why nobody can tell."""
    try:
        return codec.decode(frame)
    except BadFrame as bad:
        return bad


@settings(max_examples=400 * DEPTH)
@given(messages)
def test_any_frame_is_a_packet_or_a_named_refusal(frame: str | bytes) -> None:
    codec = JsonEnvelope(max_bytes=MOST, max_depth=8)
    with Processor() as took:
        packet = read(codec, frame)
    assert took.seconds < 1.0
    if isinstance(packet, BadFrame):
        assert packet.code in CODES
        assert len(packet.message) < 600
        assert "\n" not in packet.message
    elif isinstance(packet, Event):
        assert 0 < len(packet.event) <= 256
        assert packet.namespace.startswith("/")
        assert packet.id is None or 0 <= packet.id <= 2**53
        # Whatever was read can be sent on.
        codec.event(packet.event, packet.data, packet.namespace, packet.id)
    else:
        assert 0 <= packet.id <= 2**53


@settings(max_examples=100 * DEPTH)
@given(messages)
def test_with_payload_hooks_too(frame: str | bytes) -> None:
    def load(data: Any) -> Any:
        return json.loads(data)

    codec = PayloadHooks(load, None, "ws", max_bytes=MOST)
    found = read(codec, frame)
    if isinstance(found, BadFrame):
        assert len(found.message) < 600
    else:
        assert isinstance(found, Event)


# -- handshakes ------------------------------------------------------------


def adapters() -> list[ActorAdapter]:
    """One with a list of origins, and one without."""
    made = [
        ActorAdapter(options=Options(max_connections=5)),
        ActorAdapter(
            options=Options(
                max_connections_per_address=5,
                trusted_origins=["https://*.chat.test", "https://chat.test"],
                subprotocols=["chat"],
            )
        ),
    ]
    for adapter in made:

        @adapter.authenticate()
        def who(handshake: Handshake) -> Identity | None:
            # All that an application may look at.
            assert repr(handshake)
            assert handshake.origin is None or isinstance(handshake.origin, str)
            names = (handshake.token, *handshake.cookies, *handshake.query_params)
            name = next((name for name in names if name), "")
            return Identity(name[:256]) if name else None

    return made


@pytest.mark.anyio
@settings(
    max_examples=60 * DEPTH,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    headers=headers,
    query=queries,
    path=st.text(max_size=20).map(lambda rest: f"/ws/{rest}"),
    client=st.one_of(st.none(), st.tuples(st.text(max_size=20), st.just(1))),
    subprotocols=st.lists(st.text(max_size=8), max_size=3),
)
async def test_any_handshake_is_let_in_or_refused_by_name(**fields: Any) -> None:
    headers, query = fields.pop("headers"), fields.pop("query")
    for adapter in adapters():
        async with adapter.running():
            status = await knock(adapter, headers, query_string=query, **fields)
            assert status in (101, 401, 403)
            statistics = adapter.statistics()
            assert statistics.connections == 0
            assert statistics.connections_total == (status == 101)
            assert statistics.refused == (status != 101)


@pytest.mark.anyio
@settings(max_examples=30 * DEPTH)
@given(st.lists(messages, max_size=30))
async def test_no_frames_of_one_client_are_anothers_trouble(
    bad: list[str | bytes],
) -> None:
    adapter = ActorAdapter(options=Options(max_message_bytes=MOST, max_strikes=5))

    @adapter.on("echo")
    def echo(event: str, client: object, data: Any) -> Any:
        return data

    async with adapter.running(), anyio.create_task_group() as tasks:
        good, evil = Asgi(), Asgi()
        for asgi in (good, evil):
            tasks.start_soon(adapter, asgi.scope, asgi.app_receive, asgi.app_send)
            await asgi.opened.wait()
        with anyio.move_on_after(5.0):
            # It may be put out meanwhile, and nobody reads.
            for frame in bad:
                await evil.send(frame)
            await anyio.wait_all_tasks_blocked()
        await good.send('{"event":"echo","data":1,"id":1}')
        assert json.loads(await good.receive()) == {"ack": 1, "data": 1}
        statistics = adapter.statistics()
        assert statistics.handler_errors == 0
        codes = [each["code"] for each in evil.sent if each["type"] == CLOSE]
        # Not before it has been told five times.
        assert codes == [1008] or statistics.strikes <= 5
        good.close()
        evil.close()
