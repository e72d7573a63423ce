"""A dashboard: tokens that expire, who is here, what was missed, and the limits.

    hypercorn --worker-class trio examples.dashboard:app
    python -m greenroom serve examples.dashboard:app --worker trio

Open http://127.0.0.1:8000/, in several tabs. The second command sees the pages off
when it is stopped: they are told when to come back, and do. All of it lives in one
process: use one worker.

``DASHBOARD_KEY`` signs the tokens; without it a key is made up at the start, and
who comes back after a restart signs in again. ``DASHBOARD_TOKEN_SECONDS`` is how
long a token holds, 30 by default.
"""

from __future__ import annotations

import hmac
import itertools
import os
import secrets
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import orjson

from greenroom import (
    Actor,
    ActorAdapter,
    AdapterStatistics,
    Client,
    EventError,
    Excess,
    Handshake,
    HandshakeRefused,
    Identity,
    Options,
    Restart,
)

# Nothing that a stranger can make grow is without a bound.
MAX_NAME = 24
MAX_TEXT = 200
MAX_BODY = 1024
POSTS = 20
TICKS = 60

ROOM = "board"
KEY = os.environ.get("DASHBOARD_KEY", "").encode() or secrets.token_bytes(32)
TOKEN_SECONDS = float(os.environ.get("DASHBOARD_TOKEN_SECONDS", "30"))

adapter = ActorAdapter(
    path="/ws",
    options=Options(
        max_connections_per_address=10,
        renew_seconds=TOKEN_SECONDS / 3,
        ping_seconds=20,
        max_message_bytes=4096,
        message_rate=10,
        message_burst=40,
        excess=Excess.STRIKE,
        max_strikes=30,
        presence_seconds=0.2,
        history_messages=POSTS,
        history_seconds=300,
        drain_spread=2,
        health_path="/health",
    ),
)


# -- tokens ----------------------------------------------------------------


class BadToken(Exception):
    """What a client brought proves nothing; says why not."""


def sign(user: str, now: float) -> str:
    """A token for *user*, which holds for `TOKEN_SECONDS`."""
    claim = f"{now + TOKEN_SECONDS:.3f} {user}".encode()
    return f"{claim.hex()}.{hmac.digest(KEY, claim, 'sha256').hex()}"


def read(token: str, now: float) -> Identity:
    """Who brings *token*, and for how long it still holds."""
    try:
        claim, proof = (bytes.fromhex(part) for part in token.split("."))
    except ValueError:
        raise BadToken("that is no token") from None
    # In constant time: how much of a guess is right must not show.
    if not hmac.compare_digest(proof, hmac.digest(KEY, claim, "sha256")):
        raise BadToken("this server has not signed that token")
    expires, _, user = claim.decode().partition(" ")
    left = float(expires) - now
    if left <= 0:
        raise BadToken("that token has expired")
    return Identity(user, seconds=left)


@adapter.authenticate()
def who(handshake: Handshake) -> Identity:
    try:
        return read(handshake.token or "", time.time())
    except BadToken as bad:
        raise HandshakeRefused(401, str(bad)) from bad


@adapter.on("renew")
async def renew(event: str, client: Client, data: object) -> float | None:
    """Take a new token from a page that stays connected."""
    try:
        identity = read(text_of(data, "token", MAX_BODY), time.time())
        client.identify(identity)
    except BadToken as bad:
        raise EventError("bad_token", str(bad)) from bad
    except ValueError:
        raise EventError("bad_token", "that token is somebody else's") from None
    return identity.seconds


# -- the board -------------------------------------------------------------


# What a page is shown when it comes; the posts it gets from the room's history.
ticks: deque[dict[str, object]] = deque(maxlen=TICKS)


async def tell(by: str | None, text: str) -> None:
    """Tell everybody, and keep it; *by* None is the server itself."""
    post = {"by": by, "text": text, "at": time.time() * 1000}
    await adapter.emit("post", post, room=ROOM, history=True)


def limits() -> dict[str, object]:
    """The limits that the page shows."""
    names = (
        "message_rate",
        "message_burst",
        "max_strikes",
        "max_connections_per_address",
        "history_messages",
        "history_seconds",
        "renew_seconds",
    )
    shown: dict[str, object] = {name: getattr(adapter.options, name) for name in names}
    return {**shown, "token_seconds": TOKEN_SECONDS}


@adapter.on("enter")
async def enter(event: str, client: Client, data: object) -> dict[str, object]:
    """Let a page in, for the first time or again.

    What it has missed since its position it gets as events, before this answer; or,
    if that is not kept any more, and if it was never here, all posts that are.
    """
    since = fields_of(data).get("since")
    try:
        joined = await client.join(ROOM, since=since, recent=POSTS, presence=True)
    except ValueError as error:
        raise EventError("bad_position", str(error)) from error
    # Nothing is waited for from here on: so with the events that follow, the answer
    # tells all who are present.
    return {
        "recovered": joined.recovered,
        "missed": joined.missed,
        "position": joined.position,
        "people": [present.user for present in adapter.presence(ROOM)],
        "ticks": list(ticks),
        "limits": limits(),
    }


@adapter.on("post")
async def post(event: str, client: Client, data: object) -> None:
    text = text_of(data, "text", MAX_TEXT)
    if not text:
        raise EventError("bad_text", f"a post is 1 to {MAX_TEXT} characters")
    assert client.identity is not None  # `who` lets in nobody without
    await tell(client.identity.user, text)


@adapter.on("flood")
async def flood(event: str, client: Client, data: object) -> None:
    """Do nothing: it is how many there are of these that matters."""


@adapter.on("cut")
async def cut(event: str, client: Client, data: object) -> None:
    """Put the client out, and say when it may come back."""
    seconds = data if isinstance(data, int) and 1 <= data <= 60 else 3
    await adapter.kick(sid=client.sid, reason=f"cut off; retry-after={seconds}")


# -- the measurements ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """The reporter to itself: a second has passed."""


class Reporter(Actor[Measure]):
    """Tells the pages every second how the server does."""

    def __init__(self) -> None:
        self.seconds = itertools.count(1)
        self.before = adapter.statistics()
        self.at = anyio.current_time()

    async def started(self) -> None:
        self.context.send_every(1.0, Measure())

    async def receive(self, message: Measure) -> None:
        second = next(self.seconds)
        now, at = adapter.statistics(), anyio.current_time()
        elapsed = at - self.at
        received = _received(now) - _received(self.before)
        sent = now.outbound.handled - self.before.outbound.handled
        dropped = now.dropped - self.before.dropped
        limited = now.rate_limited - self.before.rate_limited
        self.before, self.at = now, at
        present = adapter.presence(ROOM)
        tick: dict[str, object] = {
            "number": second,
            "received": round(received / elapsed, 1),
            "sent": round(sent / elapsed, 1),
            "dropped": dropped,
            "limited": limited,
            "connections": now.connections,
            "tabs": {p.user: p.connections for p in present if p.connections > 1},
            "counters": {
                "accepted": now.connections_total,
                "refused": now.refused,
                "rate_limited": now.rate_limited,
                "kicked": now.kicked,
                "expired": now.expired,
                "dropped": now.dropped,
                "recovered": now.recovered,
                "not_recovered": now.not_recovered,
            },
        }
        ticks.append(tick)
        # A page that is slow misses some of these, and nothing else for it.
        await adapter.emit("tick", tick, room=ROOM, volatile=True)
        if second % 15 == 0:
            users = adapter.presence_count(ROOM).users
            await tell(
                None,
                f"users: {users}, connections: {now.connections}, "
                f"messages handled: {now.inbound.handled}",
            )


def _received(statistics: AdapterStatistics) -> int:
    return statistics.inbound.accepted + statistics.rate_limited


async def start() -> None:
    """Begin to measure; the adapter runs."""
    await adapter.system.spawn(Reporter, name="reporter", restart=Restart.PERMANENT)


# -- what strangers send ---------------------------------------------------


def fields_of(data: object) -> dict[str, Any]:
    """*data*, if it is an object; else one without fields."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def text_of(data: object, field: str, limit: int) -> str:
    """What was sent as *field*; empty if it is no text, or too much of it."""
    sent = fields_of(data).get(field)
    text = sent.strip() if isinstance(sent, str) else ""
    return text if len(text) <= limit else ""


# -- the page --------------------------------------------------------------

FOLDER = Path(__file__).with_name("dashboard_page")
FILES = {
    path: (kind, FOLDER.joinpath(name).read_bytes())
    for path, name, kind in (
        ("/", "index.html", "text/html"),
        ("/style.css", "style.css", "text/css"),
        ("/wire.js", "wire.js", "text/javascript"),
        ("/page.js", "page.js", "text/javascript"),
    )
}
# No script and no style but from these files, whatever gets into the page.
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def grant(user: str) -> tuple[int, dict[str, object]]:
    token = sign(user, time.time())
    return 200, {"user": user, "token": token, "seconds": TOKEN_SECONDS}


async def login(scope: Any, receive: Any) -> tuple[int, dict[str, object]]:
    """A token for whoever asks: a login that is one would ask for a password."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return 413, {"error": "that is too long"}
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = None
    user = " ".join(text_of(data, "user", MAX_NAME).split())
    if not user or not user.isprintable():
        return 400, {"error": f"a name is 1 to {MAX_NAME} visible characters"}
    return grant(user)


async def prolong(scope: Any, receive: Any) -> tuple[int, dict[str, object]]:
    """A new token for an old one that holds; or a word why not."""
    try:
        return grant(read(Handshake(scope).token or "", time.time()).user)
    except BadToken as bad:
        return 401, {"error": str(bad)}


ACTIONS = {"/login": login, "/renew": prolong}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """WebSockets, lifespan and health are the adapter's; the page is ours."""
    if scope["type"] == "lifespan":
        send = partial(send_when_started, send)
    if await adapter(scope, receive, send):
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})  # before accepting: a plain 403
        return
    path, method = scope["path"], scope["method"]
    if method == "POST" and path in ACTIONS:
        status, answer = await ACTIONS[path](scope, receive)
        kind, body = "application/json", orjson.dumps(answer)
    elif method in ("GET", "HEAD") and path in FILES:
        status, (kind, body) = 200, FILES[path]
    else:
        status, kind = 404, "text/plain"
        body = b"not found: the dashboard is at /\n"
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", b"%d" % len(body)),
        (b"content-security-policy", POLICY),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store" if method == "POST" else b"no-cache"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = b"" if method == "HEAD" else body
    await send({"type": "http.response.body", "body": body})


async def send_when_started(send: Any, message: Any) -> None:
    """Begin to measure once the adapter runs, before the server takes a client."""
    if message["type"] == "lifespan.startup.complete":
        await start()
    await send(message)
