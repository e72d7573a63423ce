"""Names and payloads that are to break a log, a page, or the one who reads them."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from greenroom import Client
from greenroom.adapter import BadFrame, Event, EventError, JsonEnvelope
from greenroom.testing import connect, connect_raw

from ..adapter.support import Chat
from .kit import BREAKS, NASTY_WORDS, Processor

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]

NASTY = [pytest.param(word, id=name) for name, word in NASTY_WORDS.items()]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "greenroom.adapter")
    return caplog


def check(log: pytest.LogCaptureFixture) -> None:
    """Raise if a record of ours is not one line, and its traceback indented."""
    formatter = logging.Formatter("%(levelname)s %(message)s")
    ours = [record for record in log.records if record.name == "greenroom.adapter"]
    assert ours
    for record in ours:
        text = formatter.format(record)
        assert not BREAKS.search(text), ascii(text)
        first, *more = text.split("\n")
        assert re.match("[A-Z]+ ", first)
        assert all(line.startswith(("  ", "Traceback")) for line in more), text


@pytest.mark.parametrize("word", NASTY)
async def test_whatever_a_client_says_a_line_of_the_log_is_one(
    log: pytest.LogCaptureFixture, word: str
) -> None:
    chat = Chat()

    @chat.adapter.on("*")
    def crash(event: str, client: Client, data: Any) -> None:
        raise ValueError(data)

    async with chat.running():
        async with connect(chat.adapter, address=word) as client:
            with pytest.raises(EventError, match="internal_error"):
                await client.call(word, word)
            with pytest.raises(EventError, match="unknown_namespace"):
                await client.call("x", namespace=f"/{word}")
            await client.call("join", word)
            client.close(1000, word[:20])
        async with connect(chat.adapter) as client:
            await chat.adapter.ban(address=word, reason="x")
            await chat.adapter.kick(address=word, reason=word[:20])
    check(log)
    assert "secret" not in log.text


@pytest.mark.parametrize("word", NASTY)
async def test_what_is_sent_back_is_json_of_one_line_and_short(word: str) -> None:
    chat = Chat()
    async with chat.running(), connect_raw(chat.adapter) as peer:
        for fields in (
            {"event": word},
            {"event": "x", "namespace": f"/{word}"},
            {"event": f"__{word}"},
            {"event": "x", "namespace": word},
            {"event": "x", "id": word},
            {"ack": word},
        ):
            await peer.send(json.dumps(fields))
            answer = await peer.receive()
            assert isinstance(answer, str)
            assert len(answer) < 700
            message = json.loads(answer)["error"]["message"]
            assert not BREAKS.search(message), ascii(message)
            assert message.isprintable()


def test_the_chats_page_takes_text_for_text() -> None:
    page = (ROOT / "examples" / "chat.html").read_text(encoding="utf-8")
    code = re.sub(r"//.*", "", page)
    for way_in in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert way_in not in code
    assert "eval(" not in code
    assert "textContent" in code


# -- JSON that is made to hurt ---------------------------------------------

MOST = 1_048_576


def fill(head: str, unit: str, tail: str) -> str:
    return head + unit * ((MOST - len(head) - len(tail)) // len(unit)) + tail


def keys(count: int) -> str:
    return "{" + ",".join(f'"{number}":1' for number in range(count)) + "}"


BOMBS = [
    pytest.param(fill("[", "[", ""), "too_deep", id="deep"),
    pytest.param(fill('{"event":"x","data":', '{"":', ""), "too_deep", id="deep keys"),
    pytest.param(
        fill("", "[" * 31 + "]" * 31, ""), "malformed", id="as deep as may be"
    ),
    pytest.param(
        fill('{"event":"x","data":[', "[" * 30 + "]" * 30 + ",", "0]}"),
        None,
        id="as deep as may be, again and again",
    ),
    pytest.param(fill('{"event":"', '\\"[', '"}'), "bad_event", id="quotes"),
    pytest.param(fill('{"event":"', "\\\\", '"}'), "bad_event", id="backslashes"),
    pytest.param(fill('{"event":"x","id":', "9", "}"), "malformed", id="huge id"),
    pytest.param(fill('{"ack":', "9", "}"), "malformed", id="huge ack"),
    pytest.param(fill('{"event":"x","data":0.', "9", "}"), None, id="long fraction"),
    pytest.param('{"event":"x","data":1e400}', "malformed", id="beyond all numbers"),
    pytest.param('{"event":"x","data":NaN}', "malformed", id="NaN"),
    pytest.param('{"event":"x","data":Infinity}', "malformed", id="infinity"),
    pytest.param(fill("{", '"event":"y",', '"event":"x"}'), None, id="one key"),
    pytest.param(
        '{"event":"x","data":' + keys(90_000) + "}", None, id="ninety thousand keys"
    ),
    pytest.param(fill('{"event":"x","data":"', "\\u0000", '"}'), None, id="nulls"),
    pytest.param(fill('{"event":"x"', " ", "}"), None, id="spaces"),
    pytest.param('{"event":"\\ud800"}', "malformed", id="half a pair"),
    pytest.param("\ud800", "malformed", id="half a pair, raw"),
]


@pytest.mark.parametrize(("frame", "code"), BOMBS)
def test_no_frame_takes_long_to_read_or_raises_anything_else(
    frame: str, code: str | None
) -> None:
    decode = JsonEnvelope().decode
    with Processor() as took:
        if code is None:
            packet = decode(frame)
            assert isinstance(packet, Event)
            assert packet.event == "x"
        else:
            with pytest.raises(BadFrame) as refusal:
                decode(frame)
            assert refusal.value.code == code
            assert len(refusal.value.message) < 300
    # Of a megabyte: plain data takes 10 ms, half a million lists 300 to 400.
    assert took.seconds < 2.0


def test_hashes_of_keys_are_not_to_be_foreseen() -> None:
    assert sys.flags.hash_randomization
