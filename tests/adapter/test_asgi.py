from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import Actor, ActorAdapter, NotRunning, Registry, Restart
from greenroom.adapter import TransportClosed
from greenroom.adapter._asgi import AsgiTransport, owns
from greenroom.adapter._nestipy import NestipyHost
from greenroom.testing import Refused, websocket_scope

from .asgi import Asgi, Lifespan
from .transport_suite import Peer, TransportSuite

pytestmark = pytest.mark.anyio


def transport_of(asgi: Asgi) -> AsgiTransport:
    return AsgiTransport(asgi.scope, asgi.app_receive, asgi.app_send)


class TestAsgiTransport(TransportSuite):
    def make(self) -> tuple[AsgiTransport, Peer]:
        asgi = Asgi()
        return transport_of(asgi), asgi


# -- paths --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "requested", "root_path", "ours"),
    [
        ("/ws", "/ws", "", True),
        ("/ws", "/ws/", "", True),
        ("/ws", "/ws/room", "", True),
        ("/ws", "/wsfoo", "", False),
        ("/ws", "/w", "", False),
        ("/ws", "/", "", False),
        ("/ws", "/x/ws", "", False),
        ("/a/b", "/a/b/c", "", True),
        ("/a/b", "/a", "", False),
        ("/", "/", "", True),
        ("/", "/anything", "", True),
        # Mounted: starlette leaves the full path, others only the rest.
        ("/ws", "/app/ws", "/app", True),
        ("/ws", "/ws", "/app", True),
        ("/ws", "/app/ws/room", "/app", True),
        ("/ws", "/app/ws", "/app/", True),
        ("/ws", "/app/wsfoo", "/app", False),
        ("/ws", "/application/ws", "/app", False),
        ("/ws", "/app", "/app", False),
        ("/ws", "/app/ws", "/other", False),
    ],
)
def test_a_path_matches_by_whole_segments(
    path: str, requested: str, root_path: str, ours: bool
) -> None:
    scope = websocket_scope(requested)
    scope["root_path"] = root_path
    assert owns(path, scope) is ours


def test_root_path_may_be_absent() -> None:
    assert owns("/ws", {"type": "websocket", "path": "/ws"})


async def _untouchable(*_: object) -> Any:
    raise AssertionError("touched what is not ours")


@pytest.mark.parametrize(
    "scope",
    [
        websocket_scope("/wsfoo"),
        {"type": "http", "path": "/ws", "headers": []},
        {"type": "something new"},
    ],
    ids=["another path", "http", "unknown type"],
)
def test_what_is_not_ours_is_declined_before_any_await(scope: dict[str, Any]) -> None:
    asked = ActorAdapter(path="/ws")(scope, _untouchable, _untouchable)
    with pytest.raises(StopIteration) as answer:
        asked.send(None)
    assert answer.value.value is False


# -- the handshake ------------------------------------------------------------


async def test_without_the_extension_a_refusal_is_a_close() -> None:
    asgi = Asgi(http_response=False)
    await transport_of(asgi).refuse(503)
    with pytest.raises(Refused) as refused:
        await asgi.wait_opened()
    assert refused.value.status == 403
    assert asgi.sent == [{"type": "websocket.close", "code": 1013}]


async def test_a_refusal_is_a_whole_http_response() -> None:
    asgi = Asgi()
    await transport_of(asgi).refuse(429, "not now, später")
    assert asgi.sent == [
        {
            "type": "websocket.http.response.start",
            "status": 429,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"16"),
            ],
        },
        {"type": "websocket.http.response.body", "body": "not now, später".encode()},
    ]


@pytest.mark.parametrize("subprotocol", ["chat.v2", None])
async def test_the_server_is_told_which_subprotocol(subprotocol: str | None) -> None:
    asgi = Asgi()
    await transport_of(asgi).accept(subprotocol)
    assert asgi.sent == [{"type": "websocket.accept", "subprotocol": subprotocol}]


async def test_extensions_may_be_none() -> None:
    asgi = Asgi()
    asgi.scope["extensions"] = None
    await transport_of(asgi).refuse(503)
    assert asgi.sent == [{"type": "websocket.close", "code": 1013}]


async def test_a_peer_that_left_before_its_turn_is_not_accepted() -> None:
    asgi = Asgi(connects=False)
    asgi.close(1001)
    with pytest.raises(TransportClosed) as closed:
        await transport_of(asgi).accept()
    assert closed.value.code == 1001
    assert asgi.sent == []


async def test_a_peer_that_left_before_its_turn_is_not_refused() -> None:
    asgi = Asgi(connects=False)
    asgi.drop()
    await transport_of(asgi).refuse(503)
    assert asgi.sent == []


@pytest.mark.parametrize("error", [OSError("reset"), RuntimeError("closed already")])
async def test_errors_of_the_server_mean_that_the_peer_is_gone(
    error: Exception,
) -> None:
    asgi = Asgi()
    asgi.fail_sends(error)
    transport = transport_of(asgi)
    with pytest.raises(TransportClosed) as closed:
        await transport.accept()
    assert closed.value.__cause__ is error
    await transport.close(1000, "")

    asgi = Asgi()
    transport = transport_of(asgi)
    await transport.accept()
    asgi.fail_sends(error)
    with pytest.raises(TransportClosed):
        await transport.send("hi")
    await transport.close(1000, "")

    asgi = Asgi()
    transport = transport_of(asgi)
    await transport.accept()
    asgi.fail_sends(error)
    await transport.close(1000, "")

    asgi = Asgi()
    asgi.fail_sends(error)
    await transport_of(asgi).refuse(503)


# -- messages -----------------------------------------------------------------


async def test_a_frame_may_come_with_one_key_or_both() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "websocket.receive", "text": "both", "bytes": None},
        {"type": "websocket.receive", "text": None, "bytes": b"both"},
        {"type": "websocket.receive", "text": "one"},
        {"type": "websocket.receive", "bytes": b"one"},
        {"type": "websocket.receive"},
    ]
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    transport = AsgiTransport(websocket_scope("/ws"), receive, _untouchable)
    received = [await transport.receive() for _ in messages]
    assert received == ["both", b"both", "one", b"one", b""]


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (1000, "", (1000, "")),
        (4000, "mine", (4000, "mine")),
        (1006, None, (1006, "")),
        (None, None, (1005, "")),
    ],
)
async def test_a_disconnect_says_code_and_reason(
    code: int | None, reason: str | None, expected: tuple[int, str]
) -> None:
    asgi = Asgi()
    transport = transport_of(asgi)
    await transport.accept()
    asgi.close(code, reason)
    with pytest.raises(TransportClosed) as closed:
        await transport.receive()
    assert (closed.value.code, closed.value.reason) == expected


async def test_a_reason_is_cut_where_a_close_frame_ends() -> None:
    asgi = Asgi()
    transport = transport_of(asgi)
    await transport.accept()
    await transport.close(1000, "é" * 100)
    with pytest.raises(TransportClosed) as closed:
        await asgi.receive()
    assert closed.value.reason == "é" * 61


# -- the app ------------------------------------------------------------------


async def test_an_adapter_is_an_asgi_app() -> None:
    adapter = ActorAdapter(path="/ws")

    @adapter.on("say")
    async def say(event: str, client: object, data: object) -> object:
        return data

    asgi = Asgi("/ws")
    served: list[bool] = []

    async def serve() -> None:
        served.append(await adapter(asgi.scope, asgi.app_receive, asgi.app_send))

    async with adapter.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await asgi.wait_opened()
        await asgi.send('{"event": "say", "data": "hi", "id": 1}')
        assert await asgi.receive() == '{"ack":1,"data":"hi"}'
        asgi.close()
    assert served == [True]


async def test_clients_are_refused_while_the_adapter_does_not_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    adapter = ActorAdapter()
    asgi = Asgi()
    assert await adapter(asgi.scope, asgi.app_receive, asgi.app_send)
    assert asgi.refused == 503
    assert "adapter.running()" in caplog.text
    assert adapter.statistics().refused == 1


async def test_who_has_left_before_its_turn_is_nobody() -> None:
    adapter = ActorAdapter()
    asgi = Asgi(connects=False)
    asgi.drop()
    async with adapter.running():
        assert await adapter(asgi.scope, asgi.app_receive, asgi.app_send)
        assert adapter.statistics().connections_total == 0
    assert asgi.sent == []


async def test_the_lifespan_hosts_the_adapter() -> None:
    adapter = ActorAdapter()
    lifespan = Lifespan()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifespan.run, adapter)
        await lifespan.started()
        assert adapter.system.children()
        lifespan.stop()
    assert lifespan.answer is True
    assert lifespan.sent == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]
    with pytest.raises(NotRunning):
        _ = adapter.system


async def test_the_lifespan_is_declined_while_the_adapter_runs_already() -> None:
    adapter = ActorAdapter()
    async with adapter.running():
        lifespan = Lifespan()
        await lifespan.run(adapter)
        assert lifespan.answer is False
        assert lifespan.sent == []
        assert adapter.system.children()


async def test_an_app_that_is_hosted_has_its_own_lifespan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[object] = []

    async def find(host: NestipyHost) -> object:
        return "app"

    async def run(host: NestipyHost, app: object, *_: object) -> None:
        ran.append(app)

    monkeypatch.setattr(NestipyHost, "find", find)
    monkeypatch.setattr(NestipyHost, "run", run)
    lifespan = Lifespan()
    await lifespan.run(ActorAdapter())
    assert lifespan.answer is True
    assert ran == ["app"]


async def test_a_lifespan_that_fails_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("no registry today")

    monkeypatch.setattr(Registry, "started", fail)
    lifespan = Lifespan()
    await lifespan.run(ActorAdapter())
    assert lifespan.answer is True
    (message,) = lifespan.sent
    assert message["type"] == "lifespan.startup.failed"
    assert "no registry today" in caplog.text


async def test_a_system_that_fails_in_between_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Crasher(Actor[str]):
        def receive(self, message: str) -> None:
            raise RuntimeError("crash")

    adapter = ActorAdapter()
    lifespan = Lifespan()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifespan.run, adapter)
        await lifespan.started()
        ref = await adapter.system.spawn(Crasher, restart=Restart.PERMANENT)
        for _ in range(20):
            await anyio.sleep(0.5)
            ref.try_tell("crash")
    assert [message["type"] for message in lifespan.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.failed",
    ]
    assert "the adapter has failed" in caplog.text
