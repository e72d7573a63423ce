"""The dashboard without a browser: its tokens, its handlers, and what it serves."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from greenroom import ActorAdapter
from greenroom.testing import Event, EventError, MemoryClient, Refused, connect

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[2] / "examples" / "dashboard.py"


def load() -> Any:
    """The example as a module; its folder is no package."""
    spec = spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


dashboard = load()
adapter: ActorAdapter = dashboard.adapter
read, sign = dashboard.read, dashboard.sign


@pytest.fixture(scope="module")
def anyio_backend(virtual_backend: tuple[str, dict[str, Any]]) -> object:
    return virtual_backend


@pytest.fixture(autouse=True)
def ticks() -> None:
    """A dashboard on which nothing is measured yet."""
    dashboard.ticks.clear()


@pytest.fixture
async def running() -> AsyncIterator[None]:
    async with adapter.running():
        yield


def visit(user: str) -> AbstractAsyncContextManager[MemoryClient]:
    token = sign(user, time.time())
    return connect(adapter, query=f"access_token={token}", timeout=60)


def posts(client: MemoryClient) -> list[Any]:
    """The posts that *client* has got, before the answer to its latest call."""
    events = [event for event in client.received() if isinstance(event, Event)]
    return [event.data for event in events if event.event == "post"]


def fields(event: Event) -> dict[str, Any]:
    """The data of an event of the board, which are objects all."""
    return cast("dict[str, Any]", event.data)


# -- tokens ------------------------------------------------------------------


def test_a_token_tells_who_it_is_and_for_how_long() -> None:
    identity = read(sign("Ada L.", now=100), now=110)

    assert identity.user == "Ada L."
    assert identity.seconds == pytest.approx(dashboard.TOKEN_SECONDS - 10)


@pytest.mark.parametrize("token", ["", "ada", "00.00.00", "\u00e9.\u00e9", "0.0"])
def test_what_is_no_token_is_called_so(token: str) -> None:
    with pytest.raises(dashboard.BadToken, match="that is no token"):
        read(token, time.time())


def test_a_forged_token_is_told_from_a_signed_one() -> None:
    claim, proof = sign("ada", now=time.time()).split(".")
    eve = bytes.fromhex(claim).replace(b" ada", b" eve").hex()

    for forged in (f"{claim}.", f"{eve}.{proof}", f"{claim}.{'00' * 32}"):
        with pytest.raises(dashboard.BadToken, match="has not signed that token"):
            read(forged, time.time())


def test_a_token_expires() -> None:
    token = sign("ada", now=100)

    assert read(token, now=99 + dashboard.TOKEN_SECONDS).user == "ada"
    with pytest.raises(dashboard.BadToken, match="that token has expired"):
        read(token, now=100 + dashboard.TOKEN_SECONDS)


@pytest.mark.usefixtures("running")
async def test_nobody_comes_in_without_a_token_that_holds() -> None:
    for query in ("", f"access_token={sign('ada', time.time() - 3600)}"):
        with pytest.raises(Refused) as refused:
            async with connect(adapter, query=query):
                pass
        assert refused.value.status == 401


@pytest.mark.timeout(120)  # virtual seconds, most of them
@pytest.mark.usefixtures("running")
async def test_a_token_is_renewed_on_a_live_connection() -> None:
    async with visit("ada") as ada:
        assert (await ada.receive()).event == "expiring"
        for wrong in ("nonsense", sign("eve", time.time()), 7):
            with pytest.raises(EventError) as refused:
                await ada.call("renew", {"token": wrong})
            assert refused.value.code == "bad_token"

        left = await ada.call("renew", {"token": sign("ada", time.time())})
        assert left == pytest.approx(dashboard.TOKEN_SECONDS, abs=1)
        # The next notice is later than the end of the first token.
        assert (await ada.receive()).event == "expiring"
        assert await ada.wait_closed() == 3000


# -- the board ---------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_who_comes_finds_the_posts_and_hears_the_next() -> None:
    async with visit("ada") as ada, visit("grace") as grace:
        await ada.call("enter")
        await ada.call("post", {"text": " first "})
        assert fields(await ada.receive())["text"] == "first"

        view = await grace.call("enter", {"since": None})
        assert not view["recovered"]
        assert [(post["by"], post["text"]) for post in posts(grace)] == [
            ("ada", "first")
        ]
        await grace.call("post", {"text": "second"})
        for client in (ada, grace):
            post = await client.receive()
            assert (fields(post)["by"], fields(post)["text"]) == ("grace", "second")


@pytest.mark.usefixtures("running")
async def test_who_comes_back_gets_what_was_missed_before_the_answer() -> None:
    async with visit("ada") as ada:
        async with visit("grace") as grace:
            position = (await grace.call("enter"))["position"]
        for text in ("one", "two"):
            await ada.call("post", {"text": text})

        async with visit("grace") as grace:
            view = await grace.call("enter", {"since": position})
            assert (view["recovered"], view["missed"]) == (True, 2)
            assert [post["text"] for post in posts(grace)] == ["one", "two"]


@pytest.mark.usefixtures("running")
async def test_who_was_away_for_too_long_gets_all_there_is() -> None:
    async with visit("ada") as ada:
        position = (await ada.call("enter"))["position"]
        for number in range(dashboard.POSTS + 1):
            await ada.call("post", {"text": f"and on {number}"})

        async with visit("grace") as grace:
            view = await grace.call("enter", {"since": position})
            assert not view["recovered"]
            assert [post["text"] for post in posts(grace)] == [
                f"and on {number}" for number in range(1, dashboard.POSTS + 1)
            ]


@pytest.mark.usefixtures("running")
async def test_a_user_in_two_tabs_is_there_once() -> None:
    async with visit("ada") as ada, visit("grace") as grace:
        await grace.call("enter")
        async with visit("ada") as other:
            for client in (ada, other):
                people = (await client.call("enter"))["people"]
            assert people == ["grace", "ada"]
            news = await grace.receive()
            assert (news.event, fields(news)["joined"]) == (
                "presence",
                [{"user": "grace", "info": {}}, {"user": "ada", "info": {}}],
            )
        ada.close()
        # Nothing was told of the first of the two that left.
        assert fields(await grace.receive())["left"] == ["ada"]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("event", "data", "code"),
    [
        ("enter", {"since": "long ago"}, "bad_position"),
        ("enter", {"since": {"epoch": 1, "offset": -1}}, "bad_position"),
        ("post", None, "bad_text"),
        ("post", {"text": 7}, "bad_text"),
        ("post", {"text": "x" * 201}, "bad_text"),
    ],
)
async def test_what_the_page_would_not_send_is_refused(
    event: str, data: object, code: str
) -> None:
    async with visit("eve") as eve:
        with pytest.raises(EventError) as refused:
            await eve.call(event, data)
        assert refused.value.code == code


# -- limits ------------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_a_flood_strikes_its_sender_alone() -> None:
    options = adapter.options
    async with visit("eve") as eve, visit("ada") as ada:
        for _ in range(options.message_burst + options.max_strikes + 1):
            await eve.emit("flood")
        assert await eve.wait_closed() == 1008

        refusals = eve.received()
        assert len(refusals) == options.max_strikes
        assert {error.code for error in refusals if isinstance(error, EventError)} == {
            "rate_limited"
        }
        assert (await ada.call("enter"))["limits"]["max_strikes"] == 30


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("asked", "told"), [(7, 7), (None, 3), (0, 3), (61, 3)])
async def test_who_is_cut_off_is_told_when_to_come_back(
    asked: object, told: int
) -> None:
    async with visit("ada") as ada:
        await ada.emit("cut", asked)
        assert await ada.wait_closed() == 3003
        assert ada.close_reason == f"cut off; retry-after={told}"


# -- measurements ------------------------------------------------------------


@pytest.mark.usefixtures("running")
async def test_every_second_is_measured_and_every_fifteenth_posted() -> None:
    before = adapter.statistics().connections_total
    await dashboard.start()
    async with visit("ada") as ada, visit("ada") as other:
        await other.call("enter")
        await ada.call("enter")
        for _ in range(3):
            await ada.emit("flood")
        events = [await ada.receive() for _ in range(17)]

        ticks = [fields(event) for event in events if event.event == "tick"]
        assert [tick["number"] for tick in ticks] == list(range(1, 16))
        assert ticks[0]["received"] == 7  # two openings among them
        assert ticks[1]["received"] == 0
        assert ticks[1]["sent"] == 2  # the first tick, to each
        assert (ticks[0]["connections"], ticks[0]["tabs"]) == (2, {"ada": 2})
        assert ticks[-1]["counters"]["accepted"] == before + 2
        post = events[-1]
        assert (post.event, fields(post)["by"]) == ("post", None)
        assert fields(post)["text"].startswith("users: 1, connections: 2, ")

        async with visit("grace") as grace:
            view = await grace.call("enter")
            assert view["ticks"] == ticks
            assert posts(grace) == [post.data]


# -- the page ----------------------------------------------------------------


async def ask(
    method: str, path: str, body: bytes = b"", token: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """The answer of the app: status, headers, body."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }
    # In two pieces, as a server may pass it on.
    pieces = [
        {"type": "http.request", "body": body[:9], "more_body": True},
        {"type": "http.request", "body": body[9:]},
    ]
    sent: list[Any] = []

    async def receive() -> object:
        return pieces.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    await dashboard.app(scope, receive, send)
    start, end = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, end["body"]


@pytest.mark.parametrize("path", ["/", "/style.css", "/wire.js", "/page.js"])
async def test_the_page_may_run_its_own_scripts_only(path: str) -> None:
    status, headers, body = await ask("GET", path)

    assert status == 200
    assert headers["content-length"] == str(len(body)) != "0"
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert (await ask("HEAD", path))[1:] == (headers, b"")


def test_the_page_takes_text_for_text_and_needs_nothing_inline() -> None:
    page = dashboard.FILES["/"][1].decode()
    assert not re.search(r"<script>|<style|\bstyle=|\bon[a-z]+=|javascript:", page)
    for script in ("/wire.js", "/page.js"):
        code = re.sub(r"(^|\s)//.*", "", dashboard.FILES[script][1].decode())
        for way_in in ("HTML", "document.write", "eval(", 'setAttribute("on'):
            assert way_in not in code


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/dashboard.py"), ("POST", "/"), ("GET", "/login")]
)
async def test_there_is_nothing_else(method: str, path: str) -> None:
    assert (await ask(method, path))[0] == 404


async def test_a_login_is_a_token_and_that_is_renewed() -> None:
    status, headers, body = await ask("POST", "/login", b'{"user": " Ada   L. "}')
    assert (status, headers["cache-control"]) == (200, "no-store")
    granted = orjson.loads(body)
    assert granted["user"] == "Ada L."

    status, _, body = await ask("POST", "/renew", token=granted["token"])
    assert status == 200
    assert read(orjson.loads(body)["token"], time.time()).user == "Ada L."

    status, _, body = await ask("POST", "/renew", token="nonsense")
    assert (status, orjson.loads(body)) == (401, {"error": "that is no token"})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"user": "   "}', 400),
        (b'{"user": "%b"}' % (b"x" * 25), 400),
        ('{"user": "a\u202eb"}'.encode(), 400),
        (b"x" * 2000, 413),
    ],
)
async def test_a_name_that_cannot_be_one_is_refused(body: bytes, status: int) -> None:
    answer = await ask("POST", "/login", body)

    assert answer[0] == status
    assert orjson.loads(answer[2])["error"]


async def test_a_socket_elsewhere_is_refused_and_the_lifespan_measures() -> None:
    sent: list[str] = []
    names: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] == "lifespan.startup.complete":
            names.extend(child.id for child in adapter.system.children())

    async def receive() -> object:
        return {"type": "lifespan"}

    await dashboard.app({"type": "websocket", "path": "/elsewhere"}, receive, send)
    await dashboard.app({"type": "lifespan"}, receive, send)

    assert sent == [
        "websocket.close",
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert "reporter" in names
