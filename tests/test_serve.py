"""greenroom.serve in this process: its arguments, and one run of real hypercorn."""

from __future__ import annotations

import inspect
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypercorn.config import Config

import greenroom
from greenroom import ActorAdapter, Options, SignalsUnavailable, serve
from greenroom._listeners import Listeners
from greenroom._serve import check_app
from greenroom._service import Service

pytestmark = pytest.mark.anyio


async def app(scope: Any, receive: Any, send: Any) -> None:
    """HTTP: ``/`` answers, anything else never does."""
    assert scope["type"] == "http"
    if scope["path"] != "/":
        await anyio.sleep_forever()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def quiet(**settings: Any) -> Config:
    config = Config()
    config.errorlog = None
    config.graceful_timeout = 0
    for name, value in settings.items():
        setattr(config, name, value)
    return config


def serving(**options: Any) -> Any:
    defaults = {"app": app, "bind": "127.0.0.1:0", "config": quiet()}
    run: Any = serve
    return partial(run, **defaults | options)


async def connect(url: str) -> anyio.abc.SocketStream:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return await anyio.connect_tcp(host.strip("[]"), int(port))


async def ask(url: str, path: str = "/") -> bytes:
    async with await connect(url) as stream:
        await stream.send(b"GET %b HTTP/1.0\r\n\r\n" % path.encode())
        answer = b""
        with anyio.fail_after(10):
            async for piece in stream:
                answer += piece
        return answer


# -- with hypercorn ----------------------------------------------------------


async def test_cancelled_it_drains_and_stops_listening(tmp_path: Path) -> None:
    drained: list[bytes] = []

    async def drain() -> None:
        # Who asks while it drains is still answered.
        with anyio.CancelScope(shield=True):
            drained.append((await ask(urls[0]))[-4:])

    config = quiet(bind=["127.0.0.1:1"])
    binds = ["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/socket"]
    run = serving(bind=binds, drain=drain, signals=(), config=config)
    urls: list[str] = []
    async with anyio.create_task_group() as tasks:
        urls += await tasks.start(run)
        assert [(await ask(url))[-4:] for url in urls[:2]] == [b"done"] * 2
        assert urls[2] == binds[2]
        async with await anyio.connect_unix(tmp_path / "socket") as stream:
            await stream.send(b"GET / HTTP/1.0\r\n\r\n")
            assert await stream.receive() != b""
        tasks.cancel_scope.cancel()

    assert drained == [b"done"]
    for url in urls[:2]:
        with pytest.raises(OSError, match=r"refused|attempts failed"):
            await connect(url)
    assert (config.bind, config.graceful_timeout) == (["127.0.0.1:1"], 0)


async def test_a_signal_stops_it_and_then_signals_have_their_default_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greenroom._service.SAME_SIGNAL", 0)
    told = anyio.Event()

    async def drain() -> None:
        told.set()
        while signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL:  # noqa: ASYNC110
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as tasks:
        await tasks.start(serving(drain=drain, signals=[signal.SIGUSR1]))
        assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
        signal.raise_signal(signal.SIGUSR1)
    assert told.is_set()


async def test_a_request_that_is_never_answered_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("greenroom._service.MORE", 0.2)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            (url,) = await tasks.start(serving(signals=()))
            async with await connect(url) as stream:
                await stream.send(b"GET /never HTTP/1.0\r\n\r\n")
                tasks.cancel_scope.cancel()


async def test_an_adapter_is_drained_without_being_named() -> None:
    adapter = ActorAdapter()
    async with anyio.create_task_group() as tasks:
        await tasks.start(serving(app=adapter, signals=()))
        assert not adapter.statistics().draining
        tasks.cancel_scope.cancel()
    assert adapter.statistics().draining


async def test_without_bind_it_listens_where_the_configuration_says() -> None:
    async with anyio.create_task_group() as tasks:
        config = quiet(bind="localhost:0")
        (url,) = await tasks.start(serving(bind=None, config=config, signals=()))
        assert (await ask(url))[-4:] == b"done"
        tasks.cancel_scope.cancel()


# -- arguments ---------------------------------------------------------------

CALLED = "app must be called with scope, receive and send"
LISTEN = "bind must be host:port, [address]:port, unix:path or fd://number, got "


def wsgi(environ: Any, start_response: Any) -> None:
    """An app of another time."""


class Callable:
    """An app made of a class."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"app": "module:app"}, TypeError, "app must be an ASGI app, got 'module:app'"),
    ({"app": Callable}, TypeError, "an ASGI app and not its class, got <class"),
    ({"app": lambda: app}, TypeError, CALLED),
    ({"app": wsgi}, TypeError, CALLED),
    ({"bind": 8000}, TypeError, "bind must be a str or several, got 8000"),
    ({"bind": b"x"}, TypeError, "bind must be a str or several, got b'x'"),
    ({"bind": [8000]}, TypeError, "bind must be a str or several, got 8000 in it"),
    ({"bind": []}, ValueError, "bind must be at least one address, got none"),
    ({"bind": ""}, ValueError, LISTEN + "''"),
    ({"bind": "localhost:"}, ValueError, LISTEN + "'localhost:'"),
    ({"bind": "localhost:http"}, ValueError, LISTEN + "'localhost:http'"),
    ({"bind": "localhost:65536"}, ValueError, LISTEN + "'localhost:65536'"),
    ({"bind": "unix:"}, ValueError, LISTEN + "'unix:'"),
    ({"bind": "fd://three"}, ValueError, LISTEN + "'fd://three'"),
    ({"config": {}}, TypeError, "config must be a hypercorn.config.Config, got {}"),
    (
        {"config": quiet(workers=4)},
        ValueError,
        "config.workers must be 1, for serve is one process, got 4",
    ),
    (
        {"config": quiet(certfile="no", keyfile="no")},
        FileNotFoundError,
        "No such file",
    ),
    (
        {"adapters": ActorAdapter()},
        TypeError,
        "adapters must be several ActorAdapters, got <ActorAdapter /ws>",
    ),
    ({"adapters": "all"}, TypeError, "adapters must be several ActorAdapters, got"),
    ({"adapters": [7]}, TypeError, "adapters must be ActorAdapters, got 7 in it"),
    ({"drain": 7}, TypeError, "drain must be callable, got 7"),
    (
        {"drain": anyio.sleep_forever, "adapters": []},
        TypeError,
        "drain is called instead of draining adapters: pass one",
    ),
    ({"drain_seconds": "9"}, TypeError, "drain_seconds must be seconds, got '9'"),
    ({"drain_seconds": True}, TypeError, "drain_seconds must be seconds, got True"),
    ({"drain_seconds": -1}, ValueError, "at least 0 and finite, got -1"),
    ({"drain_seconds": float("inf")}, ValueError, "at least 0 and finite, got inf"),
    ({"signals": "TERM"}, TypeError, "signals must be several signals, got 'TERM'"),
    ({"signals": 15}, TypeError, "signals must be several signals, got 15"),
    ({"signals": [15]}, TypeError, "signals must be signal.Signals, got 15 in it"),
    (
        {"signals": [signal.SIGKILL]},
        SignalsUnavailable,
        "SIGKILL: 9> cannot be received here",
    ),
]


@pytest.mark.parametrize(("options", "kind", "text"), WRONG)
async def test_a_wrong_argument_is_refused(
    options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        await serving(**options)()
    assert text in str(raised.value)


def test_what_has_no_signature_is_taken_for_an_app() -> None:
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(max)
    check_app(max)


async def test_outside_of_the_main_thread_there_are_no_signals() -> None:
    def elsewhere() -> None:
        with pytest.raises(SignalsUnavailable, match="cannot be received here"):
            anyio.run(serving())

    await anyio.to_thread.run_sync(elsewhere)


async def test_an_address_that_is_taken_is_named_and_the_others_are_free() -> None:
    with socket.socket() as taken, socket.socket() as other:
        for each in (taken, other):
            each.bind(("127.0.0.1", 0))
        taken.listen()
        binds = [f"127.0.0.1:{each.getsockname()[1]}" for each in (other, taken)]
        other.close()
        with pytest.raises(OSError, match=f"cannot listen at {binds[1]}: ") as raised:
            await serving(bind=binds)()
        assert raised.value.errno is not None
        with Listeners(Config(), binds[0]):
            pass
    with pytest.raises(OSError, match="cannot listen at fd://4096: "):
        await serving(bind="fd://4096")()


async def test_without_hypercorn_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hypercorn.config", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'greenroom\[hyperc"):
        await serving()()


async def test_it_waits_for_the_adapter_that_drains_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds: list[float] = []

    def note(service: Service, *arguments: Any) -> None:
        seconds.append(arguments[-1])
        raise LookupError

    monkeypatch.setattr(Service, "__init__", note)
    adapters = [ActorAdapter(options=Options(drain_seconds=n)) for n in (20, 30)]
    for options in (
        {"adapters": adapters},
        {"adapters": adapters, "drain_seconds": 5},
        {},
    ):
        with pytest.raises(LookupError):
            await serving(**options)()
    assert seconds == [30, 5, Options().drain_seconds]


# -- connections that are left -----------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_connections_are_cut_by_where_they_were_accepted(host: str) -> None:
    with Listeners(Config(), f"{host}:0") as ours, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(ours.urls[0].rpartition(":")[2])
        (number,) = ours.config.bind
        with (
            socket.socket(fileno=int(number.removeprefix("fd://"))) as listener,
            socket.create_connection(("127.0.0.1", port)) as client,
            listener.accept()[0],
            socket.create_connection(other.getsockname()) as stranger,
            other.accept()[0] as accepted,
        ):
            assert ours.cut_connections() == 1
            assert client.recv(1) == b""
            accepted.sendall(b"still here")
            assert stranger.recv(10) == b"still here"
            listener.detach()


async def test_connections_of_a_unix_socket_are_cut_as_well(tmp_path: Path) -> None:
    path = f"{tmp_path}/socket"
    with (
        Listeners(Config(), f"unix:{path}") as ours,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        listener.bind(path)
        listener.listen()
        client.connect(path)
        with listener.accept()[0]:
            ours.cut_connections()
            assert client.recv(1) == b""
        handed = f"fd://{listener.fileno()}"
        with Listeners(Config(), handed) as listeners:
            assert listeners.urls == [handed]


async def test_with_a_certificate_there_are_two_kinds_of_addresses() -> None:
    config = Config()
    config.certfile = config.keyfile = "theirs"
    config.insecure_bind = "127.0.0.1:0"
    with Listeners(config, "127.0.0.1:0") as listeners:
        kinds = [url.partition(":")[0] for url in listeners.urls]
        assert kinds == ["https", "http"]
        assert listeners.config.insecure_bind[0].startswith("fd://")
    assert config.insecure_bind == ["127.0.0.1:0"]


def test_the_names_are_public() -> None:
    assert greenroom.serve is serve
    assert issubclass(greenroom.AppNotStarted, Exception)
