"""What is not for the adapter, where there is nobody else to take it."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest

from .server import HypercornServer

pytestmark = pytest.mark.live

UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SWITCHING_PROTOCOLS = 101


def status_of(
    server: HypercornServer,
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request(method, path, headers=headers or {})
        return connection.getresponse().status


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/ws/x/y", "/ws?x", "/ws%2Fx"])
def test_what_is_below_the_path_is_ours(server: HypercornServer, path: str) -> None:
    assert status_of(server, path, headers=UPGRADE) == SWITCHING_PROTOCOLS


@pytest.mark.parametrize(
    "path", ["/wsfoo", "/wsfoo/ws", "/ws-", "/w", "/", "/WS", "/x/ws", "//ws", "/?/ws"]
)
def test_what_only_looks_like_it_is_refused(server: HypercornServer, path: str) -> None:
    assert 400 <= status_of(server, path, headers=UPGRADE) < 600
    assert status_of(server, "/ws", headers=UPGRADE) == SWITCHING_PROTOCOLS


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/ws", "/"])
def test_plain_http_gets_an_error(
    server: HypercornServer, method: str, path: str
) -> None:
    assert 400 <= status_of(server, path, method) < 600
    assert status_of(server, "/ws", headers=UPGRADE) == SWITCHING_PROTOCOLS


def test_a_handshake_that_is_none_is_refused(server: HypercornServer) -> None:
    for missing in ("sec-websocket-key", "sec-websocket-version"):
        headers = {name: UPGRADE[name] for name in UPGRADE if name != missing}
        assert 400 <= status_of(server, "/ws", headers=headers) < 600
