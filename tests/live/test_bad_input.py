"""What no client should send: each is answered, and everything goes on."""

from __future__ import annotations

import contextlib
import json

import pytest
from trio_websocket import ConnectionClosed

from .client import Frame, Refused, crowd, goodbyes
from .server import HypercornServer

pytestmark = [pytest.mark.live, pytest.mark.anyio]

# Bounds of the app.
MAX_BYTES = 65_536
MAX_DEPTH = 8
MAX_STRIKES = 5


def nested(levels: int) -> str:
    """An event that is *levels* deep, itself included."""
    inner = levels - 1
    return '{"event":"echo","data":' + "[" * inner + "]" * inner + "}"


def sized(size: int, character: str = "x") -> str:
    """An event that is *size* bytes long."""
    head, tail = '{"event":"echo","data":"', '"}'
    count, rest = divmod(size - len(head + tail), len(character.encode()))
    return head + character * count + "x" * rest + tail


UNREADABLE = [
    pytest.param("", "malformed", id="empty"),
    pytest.param("{", "malformed", id="half"),
    pytest.param("hello", "malformed", id="not JSON"),
    pytest.param('{"event":"echo"} {}', "malformed", id="two documents"),
    pytest.param('{"event":"echo","data":NaN}', "malformed", id="not a number"),
    pytest.param('{"event":"echo","data":"\\ud800"}', "malformed", id="half a pair"),
    pytest.param("\x00", "malformed", id="null byte"),
    pytest.param("null", "not_an_object", id="null"),
    pytest.param("1", "not_an_object", id="number"),
    pytest.param('"echo"', "not_an_object", id="string"),
    pytest.param('[{"event":"echo"}]', "not_an_object", id="array"),
    pytest.param("{}", "bad_event", id="no event"),
    pytest.param('{"event":null}', "bad_event", id="event null"),
    pytest.param('{"event":1}', "bad_event", id="event number"),
    pytest.param('{"event":["echo"]}', "bad_event", id="event array"),
    pytest.param('{"event":""}', "bad_event", id="event empty"),
    pytest.param('{"event":"%s"}' % ("x" * 257), "bad_event", id="event long"),
    pytest.param('{"event":"__echo__"}', "bad_event", id="event dunder"),
    pytest.param('{"event":"echo","namespace":1}', "bad_namespace", id="namespace 1"),
    pytest.param('{"event":"echo","namespace":""}', "bad_namespace", id="namespace"),
    pytest.param('{"event":"echo","namespace":"x"}', "bad_namespace", id="no slash"),
    pytest.param('{"event":"echo","id":"1"}', "bad_id", id="id string"),
    pytest.param('{"event":"echo","id":-1}', "bad_id", id="id negative"),
    pytest.param('{"event":"echo","id":1.5}', "bad_id", id="id float"),
    pytest.param('{"event":"echo","id":true}', "bad_id", id="id bool"),
    pytest.param('{"event":"echo","id":1%s}' % ("0" * 30), "bad_id", id="id huge"),
    pytest.param('{"ack":1,"event":"echo"}', "ambiguous", id="ack and event"),
    pytest.param('{"ack":"1"}', "bad_ack", id="ack string"),
    pytest.param('{"ack":1,"error":"no"}', "bad_ack", id="ack with bad error"),
    pytest.param('{"ack":1,"error":{"code":1}}', "bad_ack", id="ack with half error"),
    pytest.param(b"", "binary", id="binary empty"),
    pytest.param(b'{"event":"echo"}', "binary", id="binary JSON"),
    pytest.param(bytes(range(256)), "binary", id="binary"),
    pytest.param(nested(MAX_DEPTH + 1), "too_deep", id="deep"),
    pytest.param(nested(30_000), "too_deep", id="abysmal"),
    pytest.param("[" * 60_000, "too_deep", id="abysmal half"),
    pytest.param(sized(MAX_BYTES + 1), "too_large", id="large"),
    pytest.param(sized(MAX_BYTES + 1, "ü"), "too_large", id="large in bytes"),
    pytest.param(sized(4_000_000), "too_large", id="huge"),
    pytest.param(bytes(4_000_000), "too_large_or_binary", id="huge binary"),
]


@pytest.mark.parametrize(("frame", "code"), UNREADABLE)
async def test_an_unreadable_frame_is_answered_and_nothing_else_happens(
    server: HypercornServer, frame: str | bytes, code: str
) -> None:
    async with crowd(server) as clients:
        witness, peer = await clients.welcome(), await clients.welcome()
        before = (await witness.ask("statistics"))["strikes"]
        await peer.send(frame)

        answer = await peer.receive()
        assert answer.keys() == {"event", "error"}
        assert answer["event"] == "error"
        assert answer["error"]["code"] in code.split("_or_")
        assert len(answer["error"]["message"]) < 200
        assert await peer.ask("echo", "still here") == "still here"
        assert await peer.drain() == []
        assert await witness.drain() == []
        assert (await witness.ask("statistics"))["strikes"] == before + 1


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(nested(MAX_DEPTH), id="as deep as may be"),
        pytest.param(sized(MAX_BYTES), id="as long as may be"),
        pytest.param(sized(MAX_BYTES, "ü"), id="as long as may be in bytes"),
        pytest.param('{"event":"echo","x":1,"to":[]}', id="unknown keys"),
        pytest.param('{"event":"echo","id":null,"namespace":null}', id="nulls"),
        pytest.param('{"ack":12345,"data":1}', id="an ack nobody waits for"),
        pytest.param(
            '{"ack":12345,"error":{"code":"no","message":""}}',
            id="a refusal nobody waits for",
        ),
    ],
)
async def test_what_only_looks_bad_is_taken(
    server: HypercornServer, frame: str
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.send(frame)

        assert await peer.drain() == []


@pytest.mark.parametrize(
    ("event", "fields", "code", "message"),
    [
        ("nothing", {}, "unknown_event", "no event 'nothing'"),
        ("echo", {"namespace": "/no"}, "unknown_namespace", "no namespace '/no'"),
        ("crash", {}, "internal_error", "the handler failed"),
        ("refuse", {}, "not_today", "try again tomorrow"),
        ("unspeakable", {}, "not_encodable", "the handler failed"),
    ],
)
async def test_an_event_that_fails_is_answered_and_everything_goes_on(
    server: HypercornServer,
    event: str,
    fields: dict[str, str],
    code: str,
    message: str,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        # Many more than strikes are allowed: these are none.
        for _ in range(3 * MAX_STRIKES):
            with pytest.raises(Refused) as refusal:
                await peer.ask(event, **fields)
            assert (refusal.value.code, refusal.value.message) == (code, message)

        await peer.emit(event, **fields)
        answers = await peer.drain()
        if event != "unspeakable":  # only its answer fails, and there is none
            error = {"code": code, "message": message}
            assert answers == [{"event": "error", "error": error}]


async def test_an_error_carries_the_id_where_it_could_be_read(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.send('{"event":"","id":7}')

        answer: Frame = await peer.receive()
        assert (answer["ack"], answer["error"]["code"]) == (7, "bad_event")


async def test_a_handler_given_the_wrong_data_fails_alone(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        rooms: list[object] = [None, "", 1, [], {"room": 1}, "~" + "x" * 24]
        for room in rooms:
            with pytest.raises(Refused, match="internal_error"):
                await peer.ask("join", room)

        assert (await peer.ask("who"))["rooms"] == []


async def test_too_many_strikes_close_the_connection(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        witness, peer = await clients.welcome(), await clients.welcome()
        for number in range(MAX_STRIKES + 1):
            await peer.send(json.dumps({"event": number}))

        for _ in range(MAX_STRIKES):
            assert (await peer.receive())["error"]["code"] == "bad_event"
        assert await peer.wait_closed() == (1008, "too many unreadable messages")
        assert await witness.ask("echo", 1) == 1


async def test_a_flood_of_bad_frames_ends_with_the_connection(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness, peer = await clients.welcome(), await clients.welcome()
        before = (await witness.ask("statistics"))["strikes"]
        with contextlib.suppress(ConnectionClosed):
            for _ in range(200):
                await peer.send("x" * 100)

        # A server that closes with bytes unread resets the connection, and the
        # reset may overtake the close frame.
        assert (await peer.wait_closed())[0] in (1008, 1006)
        assert await goodbyes(witness, peer.sid) == [
            [1008, "too many unreadable messages"]
        ]
        after = (await witness.ask("statistics"))["strikes"]
        assert after > before + MAX_STRIKES


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\x81\x82\0\0\0\0\xc3\x28", id="text that is not UTF-8"),
        pytest.param(b"\x81\x02{}", id="not masked"),
        pytest.param(b"\x83\x80\0\0\0\0", id="unknown opcode"),
        pytest.param(b"\xf1\x82\0\0\0\0{}", id="reserved bits"),
        pytest.param(b"\x80\x82\0\0\0\0{}", id="continues nothing"),
        pytest.param(b"\x89\xfe\0\x80\0\0\0\0" + b"x" * 128, id="long ping"),
        pytest.param(b"\x88\x81\0\0\0\0\x03", id="half a close code"),
        pytest.param(b"\x88\x82\0\0\0\0\x03\xed", id="reserved close code"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
async def test_what_is_no_websocket_frame_ends_this_connection_alone(
    server: HypercornServer, octets: bytes
) -> None:
    async with crowd(server) as clients:
        witness, peer = await clients.welcome(), await clients.welcome()
        await peer.send_raw(octets)

        await peer.wait_closed()
        assert await goodbyes(witness, peer.sid) == [[1006, ""]]
        assert await witness.ask("echo", 1) == 1


async def test_a_frame_that_never_ends_is_the_end_of_the_client(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness, peer = await clients.welcome(), await clients.welcome()
        await peer.send_raw(b"\x81\xfe\xff\xff\0\0\0\0half a sent")
        peer.drop()

        assert await goodbyes(witness, peer.sid) == [[1006, ""]]


async def test_a_message_too_long_for_the_server_closes_the_connection(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness, peer = await clients.welcome(), await clients.welcome()
        # hypercorn's own limit is 16 MiB.
        await peer.send(bytes(17 * 1024 * 1024))

        assert (await peer.wait_closed())[0] == 1009
        assert await witness.ask("echo", 1) == 1


async def test_a_ping_is_answered_while_a_handler_hangs(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.emit("hang")

        await peer.ping()
