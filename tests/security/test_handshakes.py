"""Handshakes that lie: about the page they come from, and about who they are."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Handshake, Identity, Options
from greenroom.testing import TransportClosed, connect_raw, wait_idle

from .kit import Header, Processor, knock

pytestmark = pytest.mark.anyio

HOST = (b"host", b"chat.test")
XN = "xn--chat-xwa.test"  # as browsers write the name of a host that is not ASCII


# -- cross-site ------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([HOST, (b"origin", b"https://evil.test")], id="another host"),
        pytest.param([HOST, (b"origin", b"null")], id="null"),
        pytest.param([HOST, (b"origin", b"NULL")], id="null in capitals"),
        pytest.param([HOST, (b"origin", b"")], id="empty"),
        pytest.param([HOST, (b"Origin", b"https://evil.test")], id="capital letter"),
        pytest.param([HOST, (b"origin", b"https://chat.test.")], id="trailing dot"),
        pytest.param([HOST, (b"origin", b"https://chat.test:444")], id="port"),
        pytest.param([HOST, (b"origin", b"https://chat.test@evil.test")], id="user"),
        pytest.param([HOST, (b"origin", b"https://a@chat.test")], id="userinfo"),
        pytest.param([HOST, (b"origin", b"https://chat.test.evil.test")], id="prefix"),
        pytest.param([HOST, (b"origin", b"https://evilchat.test")], id="suffix"),
        pytest.param([HOST, (b"origin", b"file://chat.test")], id="scheme"),
        pytest.param([HOST, (b"origin", b"//chat.test")], id="no scheme"),
        pytest.param([HOST, (b"origin", b"https://ch\xe4t.test")], id="latin-1"),
        pytest.param(
            [(b"host", XN.encode()), (b"origin", "https://chät.test".encode())],
            id="IDN against punycode",
        ),
        pytest.param(
            [
                HOST,
                (b"origin", b"https://chat.test"),
                (b"origin", b"https://evil.test"),
            ],
            id="two origins, ours first",
        ),
        pytest.param(
            [
                HOST,
                (b"origin", b"https://evil.test"),
                (b"origin", b"https://chat.test"),
            ],
            id="two origins, ours last",
        ),
        pytest.param(
            [HOST, (b"host", b"evil.test"), (b"origin", b"https://evil.test")],
            id="two hosts, theirs last",
        ),
        pytest.param(
            [(b"host", b"evil.test"), HOST, (b"origin", b"https://evil.test")],
            id="two hosts, theirs first",
        ),
        pytest.param([(b"origin", b"https://chat.test")], id="no host"),
        pytest.param([(b"host", b""), (b"origin", b"https://")], id="empty host"),
        pytest.param(
            [
                HOST,
                (b"x-forwarded-host", b"evil.test"),
                (b"origin", b"https://evil.test"),
            ],
            id="forwarded host",
        ),
    ],
)
async def test_a_page_from_elsewhere_is_refused(headers: list[Header]) -> None:
    adapter = ActorAdapter()
    async with adapter.running():
        assert await knock(adapter, headers) == 403
        statistics = adapter.statistics()
        assert statistics.refused_origin == 1
        assert statistics.connections_total == 0


@pytest.mark.parametrize(
    "headers",
    [
        [HOST],
        [HOST, (b"origin", b"https://chat.test")],
        [HOST, (b"origin", b"HTTPS://CHAT.test:443")],
        [(b"host", XN.encode()), (b"origin", f"https://{XN}".encode())],
    ],
)
async def test_its_own_page_is_let_in(headers: list[Header]) -> None:
    adapter = ActorAdapter()
    async with adapter.running():
        assert await knock(adapter, headers) == 101


# -- forged headers and tokens ---------------------------------------------

USERS = {"ann's": "ann", "bob's": "bob"}


def guarded(**options: Any) -> tuple[ActorAdapter, list[str]]:
    """An adapter that asks for a token or a cookie, and whom it has let in."""
    adapter = ActorAdapter(options=Options(**options))
    came: list[str] = []

    @adapter.authenticate()
    def who(handshake: Handshake) -> Identity | None:
        user = USERS.get(handshake.token or handshake.cookies.get("session", ""))
        if user is None:
            return None
        came.append(user)
        return Identity(user)

    return adapter, came


def bearer(token: bytes) -> Header:
    return b"authorization", b"Bearer " + token


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([bearer(b"ann's"), bearer(b"bob's")], id="two"),
        pytest.param([bearer(b"ann's"), bearer(b"ann's")], id="one twice"),
        pytest.param([bearer(b"ann's, bob's")], id="two in one"),
        pytest.param([(b"authorization", b"ann's")], id="no scheme"),
        pytest.param([(b"authorization", b"Basic ann's")], id="another scheme"),
        pytest.param([(b"authorization_", b"Bearer ann's")], id="odd name"),
        pytest.param([(b"authorization ", b"Bearer ann's")], id="space in the name"),
        pytest.param([(b"http_authorization", b"Bearer ann's")], id="CGI name"),
        pytest.param([(b"x-authorization", b"Bearer ann's")], id="prefixed name"),
        pytest.param([(b"\xc0uthorization", b"Bearer ann's")], id="lookalike"),
        pytest.param([bearer(b"ann's\xa0x")], id="not ASCII"),
        pytest.param([(b"cookie", b"session")], id="cookie without value"),
        pytest.param([(b"cookie", b"x=session=ann's")], id="cookie in a cookie"),
        pytest.param([(b"cookie", b"\xff\x00;;;=")], id="cookie of rubbish"),
    ],
)
async def test_a_forged_header_is_nobodys(headers: list[Header]) -> None:
    adapter, came = guarded()
    async with adapter.running():
        assert await knock(adapter, headers) == 401
        assert came == []
        assert adapter.statistics().refused_unauthorised == 1


async def test_of_two_tokens_in_the_url_the_last_counts_and_a_header_more() -> None:
    adapter, came = guarded()
    query = b"access_token=ann's&access_token=bob's"
    async with adapter.running():
        assert await knock(adapter, query_string=query) == 101
        assert await knock(adapter, [bearer(b"ann's")], query_string=query) == 101
        # A wrong one is not made good by another.
        assert await knock(adapter, [bearer(b"eve's")], query_string=query) == 401
    assert came == ["bob", "ann"]


async def test_forwarded_addresses_are_not_believed() -> None:
    adapter = ActorAdapter(options=Options(max_connections_per_address=1))
    async with adapter.running():
        await adapter.ban(address="10.0.0.1")
        for name in (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"client-ip"):
            # Neither to get round a ban, nor to have another banned.
            lie = [(name, b"10.0.0.2")]
            assert await knock(adapter, lie, client=("10.0.0.1", 1)) == 403
            assert await knock(adapter, [(name, b"10.0.0.1")]) == 101
        assert adapter.statistics().refused_banned == 4


async def test_words_are_not_tried_faster_from_one_address_after_the_other() -> None:
    adapter = ActorAdapter(options=Options(handshake_rate=0.001, handshake_burst=3))
    tried: list[str | None] = []

    @adapter.authenticate()
    def who(handshake: Handshake) -> Identity | None:
        tried.append(handshake.token)
        return None

    async with adapter.running():
        answers = [
            await knock(
                adapter,
                [(b"authorization", b"Bearer %d" % word)],
                # All that one host may make up, and what it cannot.
                client=(f"2001:db8::{word:x}" if word < 200 else "2001:db8:0:1::", 1),
            )
            for word in range(201)
        ]
        assert answers == [401] * 3 + [429] * 197 + [401]
        assert tried == ["0", "1", "2", "200"]
        assert adapter.statistics().refused_hurried == 197


async def test_who_never_says_who_it_is_does_not_keep_its_place() -> None:
    adapter = ActorAdapter(options=Options(identify_seconds=5.0, max_connections=1))
    async with adapter.running(), connect_raw(adapter) as idle:
        assert await knock(adapter) == 503
        with pytest.raises(TransportClosed) as closed:
            await idle.receive()
        assert closed.value.code == 3000
        await wait_idle()
        assert await knock(adapter) == 101


async def test_what_takes_longest_to_read_takes_no_time_to_speak_of() -> None:
    """hypercorn takes 64 kB of a handshake, if they come at once."""
    adapter, _ = guarded()
    most = 65_536
    slow = [
        # Quadratic in CPython before 3.12.6: gh-123067.
        [(b"cookie", b'session="' + b"\\" * most + b'"')],
        [(b"cookie", b"a=b;" * (most // 4))],
        [(b"cookie", b" " * most)],
        [(b"authorization", b"Bearer" + b" " * most)],
        [(b"a%d" % number, b"") for number in range(most // 6)],
        [(b"a", b"")] * (most // 4),
    ]
    queries = [b"&" * most, b"a=&" * (most // 3), b"%" * most, b"%ff" * (most // 3)]
    async with adapter.running():
        for headers in slow:
            with Processor() as took:
                assert await knock(adapter, headers) == 401
            assert took.seconds < 1.0
        for query in queries:
            with Processor() as took:
                assert await knock(adapter, query_string=query) == 401
            assert took.seconds < 1.0


# -- places ----------------------------------------------------------------


async def test_handshakes_that_hang_take_places_and_give_them_back() -> None:
    adapter = ActorAdapter(options=Options(max_connections=3, handshake_seconds=5.0))

    @adapter.authenticate()
    async def hang(handshake: Handshake) -> Identity:
        if handshake.token == "quick":
            return Identity("ann")
        await anyio.sleep_forever()
        raise AssertionError

    async with adapter.running():
        answers: list[int] = []

        async def knock_slowly() -> None:
            answers.append(await knock(adapter))

        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(knock_slowly)
            await anyio.wait_all_tasks_blocked()
            # Not even with good credentials: there is no room to ask for them.
            assert await knock(adapter, [bearer(b"quick")]) == 503
            assert answers == []
        assert anyio.current_time() - began < 5.5
        assert answers == [503] * 3
        assert await knock(adapter, [bearer(b"quick")]) == 101
        statistics = adapter.statistics()
        assert (statistics.refused, statistics.refused_full) == (4, 1)
        assert statistics.refused_overdue == 3
        assert statistics.connections == 0


# -- what hypercorn does, as docs/security.md says -------------------------


async def test_behind_proxies_of_ones_own_the_server_can_be_told_the_address() -> None:
    proxies = pytest.importorskip("hypercorn.middleware")
    adapter = ActorAdapter()
    headers = [(b"x-forwarded-for", b"10.0.0.1, 10.0.0.2")]
    async with adapter.running():
        await adapter.ban(address="10.0.0.2")
        one, two = (proxies.ProxyFixMiddleware(adapter, "legacy", n) for n in (1, 2))
        assert await knock(one, headers) == 403
        # One too many: it is the client's own word.
        assert await knock(two, headers) == 101


def test_hypercorns_access_log_takes_the_path_as_it_is() -> None:
    logs = pytest.importorskip("hypercorn.logging")
    scope: dict[str, Any] = {
        "type": "websocket",
        "http_version": "1.1",
        "path": "/ws\nforged",
    }
    scope |= {"query_string": b"", "headers": [], "client": None, "scheme": "ws"}
    atoms = logs.AccessLogAtoms(scope, {"status": 101, "headers": []}, 0.0)
    assert "\n" in atoms["r"]
    assert "\n" in atoms["U"]
