"""The log of the adapter: each line has a name, its fields, and nothing hostile."""

from __future__ import annotations

import ast
import inspect
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import greenroom.adapter
from greenroom import (
    ActorAdapter,
    Client,
    EventError,
    Handshake,
    HandshakeRefused,
    Identity,
    Options,
)
from greenroom.adapter import _events as events
from greenroom.adapter._events import EVENTS
from greenroom.adapter._log_event import LogEvent, shown
from greenroom.testing import Refused, connect

from .support import Chat, named, until

pytestmark = pytest.mark.anyio

FOLDER = Path(inspect.getfile(greenroom.adapter)).parent
FILES = [file for file in FOLDER.glob("*.py") if "nestipy" not in file.name]

HOSTILE = "x\n2026-11-22 INFO all is well\x1b[2J\u2028\u202e\udc80" + "y" * 80
SECRET = "s3cret"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, at every level."""
    caplog.set_level(logging.DEBUG, "greenroom.adapter")
    return caplog


# -- what the source says --------------------------------------------------


def calls() -> Iterator[tuple[str, frozenset[str]]]:
    """Each call of a ``log``: of which event, with which fields."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id), attr="log")):
                    yield id, frozenset(str(each.arg) for each in node.keywords)
                case _:
                    pass


def test_every_event_is_logged_with_its_fields_and_listed_once() -> None:
    known = {id: each for id, each in vars(events).items() if type(each) is LogEvent}

    assert sorted(each.name for each in known.values()) == sorted(
        {each.name for each in EVENTS}
    )
    assert len(EVENTS) == len(known)
    logged = set(calls())
    assert {id for id, _ in logged} == set(known)
    for id, fields in logged:
        assert fields == set(known[id].fields), id


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_there_is_no_other_way_to_the_log(file: Path) -> None:
    if file.name not in {"_events.py", "_log_event.py"}:
        assert "logging" not in file.read_text("utf-8").split()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_no_field_is_one_that_a_record_has_anyhow(event: LogEvent) -> None:
    record = logging.LogRecord("", 0, "", 0, "", (), None)

    assert not {*event.fields, "event"} & {*vars(record), "message", "asctime"}
    # All that the text wants is there.
    assert event.text % dict.fromkeys(event.fields, 1)


# -- what a client can do to a log -----------------------------------------


@pytest.mark.parametrize(
    ("text", "is_shown_as"),
    [
        ("Ann", "'Ann'"),
        ("a\nb\r\x1b[0m", r"'a\nb\r\x1b[0m'"),
        ("\u2028\u202e\udc80", r"'\u2028\u202e\udc80'"),
        ("y" * 1_000_000, "'" + "y" * 63),
        ("\x00" * 100, "'" + r"\x00" * 15 + r"\x0"),
    ],
)
def test_what_a_client_says_is_quoted_and_cut(text: str, is_shown_as: str) -> None:
    assert shown(text) == is_shown_as


def is_harmless(line: str) -> bool:
    return line.isprintable() and len(line) < 600


async def test_hostile_names_stay_on_one_line(
    log: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    # The envelope refuses half a character by itself.
    name = HOSTILE.replace("\udc80", "")

    @chat.adapter.on("*")
    def anything(event: str, client: Client, data: Any) -> None:
        raise ValueError(f"no {event}: {data}")

    async with chat.running():
        async with chat.client() as (client, sid):
            with pytest.raises(EventError):
                await client.call(name, [name])
            await chat.clients[sid].disconnect(4000, name[:40])
            await until(lambda: not chat.connections())
        with pytest.raises(TypeError):
            await chat.adapter.kick()
        await chat.adapter.kick(user=name, reason=name[:40])
        await chat.adapter.ban(address=name)
    (failed,) = named(log, "handler_failed")
    assert failed["handler"] == shown(name)
    (gone,) = named(log, "disconnected")
    assert (gone["code"], gone["reason"]) == (4000, shown(name[:40]))
    assert named(log, "kicked")[0]["who"] == shown(name)
    assert named(log, "banned")[0]["who"] == shown(name)

    formatter = logging.Formatter("%(levelname)s %(message)s")
    for record in log.records:
        first, *rest = formatter.format(record).split("\n")
        assert is_harmless(first)
        for line in rest:
            assert is_harmless(line)
            # Nothing that could be taken for another record.
            assert line.startswith("  ") or line.startswith("Traceback ")


def test_a_traceback_is_cut(log: pytest.LogCaptureFixture) -> None:
    events.ADAPTER_FAILED.log(ValueError("\n".join("x" * 1000 for _ in range(1000))))

    (record,) = log.records
    assert record.exc_text is not None
    lines = record.exc_text.split("\n")
    assert len(lines) == 201
    assert "lines ..." in lines[100]
    assert max(map(len, lines)) == 502


def test_a_record_says_where_it_comes_from(log: pytest.LogCaptureFixture) -> None:
    events.NOT_RUNNING.log()

    (record,) = log.records
    assert record.filename == "test_events.py"
    assert record.funcName == "test_a_record_says_where_it_comes_from"
    assert record.name == "greenroom.adapter"


def test_what_nobody_wants_to_know_is_not_written(
    log: pytest.LogCaptureFixture,
) -> None:
    log.set_level(logging.INFO, "greenroom.adapter")
    events.CONNECTED.log(sid="~1", address=None, user=None)

    assert not events.CONNECTED.enabled
    assert log.records == []


# -- coming and going ------------------------------------------------------


async def test_the_life_of_a_client_is_told_at_debug(
    log: pytest.LogCaptureFixture,
) -> None:
    chat = Chat()

    @chat.adapter.authenticate()
    def who(handshake: Handshake) -> Identity | None:
        return Identity("Ann") if handshake.token == SECRET else None

    async with chat.running():
        headers = {"authorization": f"Bearer {SECRET}"}
        async with connect(chat.adapter, headers=headers) as client:
            sid = await client.call("sid")
            await client.call("echo", SECRET)
            client.close(1000, "bye")
            await until(lambda: not chat.connections())
        with pytest.raises(Refused):
            async with connect(chat.adapter):
                pass
    (connected,) = named(log, "connected")
    assert connected["sid"] == sid
    assert connected["user"] == "'Ann'"
    (gone,) = named(log, "disconnected")
    assert (gone["sid"], gone["code"], gone["user"]) == (sid, 1000, "'Ann'")
    assert gone["reason"] == "'bye'"
    # Greeted, two calls; two acks.
    assert (gone["received"], gone["sent"]) == (3, 2)
    assert gone["seconds"] >= 0
    (refused,) = named(log, "refused")
    assert (refused["status"], refused["reason"]) == (401, "'not authenticated'")
    levels = {each["levelname"] for each in (connected, gone, refused)}
    assert levels == {"DEBUG"}
    assert all(SECRET not in str(record.__dict__) for record in log.records)


async def test_who_is_rejected_or_too_slow_is_told(
    log: pytest.LogCaptureFixture,
) -> None:
    adapter = ActorAdapter(options=Options(outbox_messages=1))
    over = 0

    @adapter.on_connect()
    async def no(event: str, client: Client, data: Any) -> None:
        if client.query_params.get("member") is None:
            client.reject(4001, "members only")

    @adapter.on_disconnect()
    async def bye(event: str, client: Client, data: Any) -> None:
        nonlocal over
        over += 1

    async with adapter.running():
        async with connect(adapter) as client:
            assert await client.wait_closed() == 4001
        async with connect(adapter, query="member=1", max_frames=1) as client:
            client.pause()
            while not over:
                await adapter.broadcast("tick")
    (rejected,) = named(log, "rejected")
    assert (rejected["code"], rejected["reason"]) == (4001, "'members only'")
    (slow,) = named(log, "client_too_slow")
    assert (slow["levelname"], slow["cause"]) == ("WARNING", "pending messages")


async def test_a_drain_is_told(log: pytest.LogCaptureFixture) -> None:
    chat = Chat()
    async with chat.running(), chat.client():
        await chat.adapter.drain()
    (draining,) = named(log, "draining")
    (drained,) = named(log, "drained")
    assert draining["clients"] == drained["clients"] == 1
    assert draining["levelname"] == drained["levelname"] == "INFO"


async def test_whom_the_hook_fails_is_told(log: pytest.LogCaptureFixture) -> None:
    adapter = ActorAdapter()

    @adapter.authenticate()
    def who(handshake: Handshake) -> Identity | None:
        if "refused" in handshake.query_params:
            raise HandshakeRefused(418, HOSTILE.split("\n")[0])
        raise ValueError(HOSTILE)

    async with adapter.running():
        for query in ("refused=1", ""):
            with pytest.raises(Refused):
                async with connect(adapter, query=query):
                    pass
    (failed,) = named(log, "authenticate_failed")
    assert (failed["cause"], failed["levelname"]) == ("raised", "ERROR")
    refused = named(log, "refused")
    assert [each["status"] for each in refused] == [418, 500]
    assert [each["cause"] for each in refused] == ["unauthorised", "failed"]


async def test_what_others_put_in_every_record_does_not_matter(
    log: pytest.LogCaptureFixture,
) -> None:
    factory = logging.getLogRecordFactory()
    names = ("user", "code", "event", "sid", "clients", "kind", "reason")

    def make(*args: Any, **rest: Any) -> logging.LogRecord:
        record = factory(*args, **rest)
        record.__dict__.update(dict.fromkeys(names, "theirs"))
        return record

    logging.setLogRecordFactory(make)
    try:
        chat = Chat()
        async with chat.running(), chat.client() as (_, sid):
            await chat.adapter.kick(sid=sid)
            await until(lambda: not chat.adapter.statistics().connections)
    finally:
        logging.setLogRecordFactory(factory)
    [kicked] = named(log, "kicked")
    assert (kicked["who"], kicked["clients"]) == (repr(sid), 1)
