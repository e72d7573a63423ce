"""The public face of the adapter over a real wire: events, rooms, acks, goodbyes."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import trio

from .client import Peer, Refused, crowd, goodbyes
from .server import HypercornServer

pytestmark = [pytest.mark.live, pytest.mark.anyio]


async def test_an_event_is_handled_and_answered(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()

        assert await peer.ask("echo", {"ü": [1, None, "\u2028"]}) == {
            "ü": [1, None, "\u2028"]
        }
        assert await peer.ask("plain", "function") == "plain function"


async def test_an_event_without_an_id_is_not_answered(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.emit("echo", 1)

        assert await peer.drain() == []


async def test_the_handshake_is_there_to_be_read(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome(
            "/ws/below?a=1&b=%C3%BC&b=", headers={"X-Flavour": "mint"}
        )

        who = await peer.ask("who")
        assert who["sid"] == peer.sid
        assert who["query"] == {"a": "1", "b": ""}
        assert who["header"] == "mint"


async def test_a_namespace_is_one_view_of_the_same_client(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.ask("join", "lobby")
        await peer.ask("join", "cellar", namespace="/side")
        await peer.ask("remember", {"colour": "blue"})

        root, side = await peer.ask("who"), await peer.ask("who", namespace="/side")
        assert side["sid"] == root["sid"] == peer.sid
        assert (root["namespace"], side["namespace"]) == ("/", "/side")
        assert (root["rooms"], side["rooms"]) == (["lobby"], ["cellar"])
        assert await peer.ask("remember", "colour", namespace="/side") == "blue"
        assert await peer.ask("new", 1, namespace="/side") == ["new", 1]


async def test_a_room_of_another_namespace_is_another_room(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        inside, outside = await clients.welcome(), await clients.welcome()
        await inside.ask("join", "a", namespace="/side")
        await outside.ask("join", "a")

        await inside.ask("emit", {"event": "hi", "room": "a", "namespace": "/side"})
        assert await outside.drain() == []
        frames = await inside.drain()
        assert frames == [{"event": "hi", "data": None, "namespace": "/side"}]


@pytest.mark.parametrize(
    ("how", "receivers"),
    [
        ({}, "abcd"),
        ({"room": "ab"}, "ab"),
        ({"room": ["ab"]}, "ab"),
        ({"room": ["ab", "bc"]}, "abc"),
        ({"room": "nowhere"}, ""),
        ({"room": []}, ""),
        ({"room": "ab", "skip_sid": "a"}, "b"),
        ({"room": ["ab", "bc"], "skip_sid": ["a", "b"]}, "c"),
        ({"skip_sid": "d"}, "abc"),
        ({"to": "a"}, "a"),
        ({"to": ["a", "d"]}, "ad"),
        ({"to": ["a", "d"], "skip_sid": "a"}, "d"),
        ({"to": "bc"}, "bc"),
        ({"to": "d", "room": "ab"}, "abd"),
        ({"to": "b", "room": ["ab", "bc"]}, "abc"),
        ({"to": "~nobody"}, ""),
        ({"room": "ab", "ignore_queue": True}, "ab"),
    ],
    ids=str,
)
async def test_who_gets_what(
    server: HypercornServer, how: dict[str, object], receivers: str
) -> None:
    async with crowd(server) as clients:
        peers = {name: await clients.welcome() for name in "abcd"}
        for room in ("ab", "bc"):
            for name in room:
                await peers[name].ask("join", room)

        def sids(value: Any) -> Any:
            """*value* with sids in place of the clients' names."""
            if isinstance(value, list):
                return [sids(each) for each in cast("list[object]", value)]
            return peers[value].sid if value in list("abcd") else value

        wanted = {key: sids(value) for key, value in how.items()}
        await peers["a"].ask("emit", {"event": "hi", "data": receivers, **wanted})

        hi = [{"event": "hi", "data": receivers, "namespace": "/"}]
        got = {name: await peer.drain() for name, peer in peers.items()}
        assert got == {name: hi if name in receivers else [] for name in "abcd"}


async def test_who_has_left_a_room_gets_no_more_of_it(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.ask("join", "lobby")
        await peer.ask("join", "lobby")
        await peer.ask("leave", "lobby")
        await peer.ask("leave", "lobby")

        await peer.ask("emit", {"event": "hi", "room": "lobby"})
        assert await peer.drain() == []


async def test_order_holds_whatever_way_a_message_takes(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.ask("join", "ways")
        await peer.ask("all ways", 100)

        frames = await peer.drain()
        assert [frame["data"] for frame in frames] == list(range(100))


async def test_on_message_comes_before_the_handler_and_may_stop_it(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        await peer.emit("echo")
        with pytest.raises(Refused, match="on_message said no") as refusal:
            await peer.ask("events", "stop here")
        assert refusal.value.code == "stopped"

        assert await peer.ask("events") == [
            "connect",
            "message echo",
            "message events",
            "message events",
            "events",
        ]


async def test_the_server_calls_and_the_client_answers(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer, other = await clients.welcome(), await clients.welcome()
        async with trio.open_nursery() as nursery:

            async def answer(peer: Peer) -> None:
                frame = await peer.receive()
                assert frame["event"] == "called"
                await peer.answer(frame, [frame["data"]])

            nursery.start_soon(answer, other)
            how = {"to": other.sid, "timeout": 20}
            assert await peer.ask("call", how) == [None]

        await peer.emit("call me", {"data": 3, "timeout": 20}, id=1000)
        await answer(peer)
        assert await peer.receive() == {"ack": 1000, "data": {"answer": [3]}}


async def test_a_call_that_is_not_answered_ends_in_time(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer, other = await clients.welcome(), await clients.welcome()

        how = {"to": other.sid, "timeout": 0.05}
        assert await peer.ask("call", how) == "AckTimeout"
        # The answer that comes too late is nobody's, and no fault.
        frame = await other.receive()
        await other.answer(frame, "late")
        assert await other.drain() == []


async def test_a_call_to_who_leaves_or_has_left_ends_at_once(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer, other = await clients.welcome(), await clients.welcome()
        await peer.emit("call", {"to": other.sid, "timeout": 3600}, id=1000)
        assert await other.expect("called") is None
        other.reset()

        assert await peer.receive() == {"ack": 1000, "data": "ClientGone"}
        how = {"to": other.sid, "timeout": 3600}
        assert await peer.ask("call", how) == "ClientGone"


async def test_a_client_that_answers_with_an_error_fails_the_call(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer, other = await clients.welcome(), await clients.welcome()
        await peer.emit("call", {"to": other.sid, "timeout": 20}, id=1000)
        id = (await other.receive())["id"]
        error = {"code": "no", "message": ""}
        await other.send(json.dumps({"ack": id, "error": error}))

        assert await peer.receive() == {"ack": 1000, "data": "AckFailed"}


async def test_an_ack_of_somebody_else_answers_nothing(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer, other = await clients.welcome(), await clients.welcome()
        forger = await clients.welcome()
        await peer.emit("call", {"to": other.sid, "timeout": 20}, id=1000)
        frame = await other.receive()
        await forger.answer(frame, "forged")
        assert await forger.drain() == []
        await other.answer(frame, "genuine")

        assert await peer.receive() == {"ack": 1000, "data": "genuine"}


async def test_a_callback_gets_the_ack_of_everyone_in_the_room(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.welcome()
        others = [await clients.welcome() for _ in range(3)]
        for other in others:
            await other.ask("join", "quorum")
        await peer.ask("collect", "quorum")
        for number, other in enumerate(others):
            await other.answer(await other.receive(), number)

        answers = [await peer.expect("collected") for _ in others]
        assert sorted(answers) == [0, 1, 2]


async def test_on_connect_may_reject(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        witness = await clients.welcome()
        before = (await witness.ask("statistics"))["rejected"]
        peer = await clients.open("/ws?reject=4001&reason=members+only")

        assert await peer.wait_closed() == (4001, "members only")
        assert (await witness.ask("statistics"))["rejected"] == before + 1


async def test_on_connect_may_disconnect(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer = await clients.open("/ws?disconnect=3000")

        assert await peer.wait_closed() == (3000, "")


async def test_an_on_connect_that_raises_is_told_without_its_text(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer = await clients.open("/ws?raise")

        assert await peer.receive() == {
            "event": "error",
            "error": {"code": "internal_error", "message": "the handler failed"},
        }
        assert await peer.ask("echo", 1) == 1


async def test_disconnect_says_the_last_words_first(server: HypercornServer) -> None:
    async with crowd(server) as clients:
        peer, witness = await clients.welcome(), await clients.welcome()
        await peer.emit("leave me", {"code": 4321, "reason": "enough ü"})

        assert await peer.expect("last words") is None
        assert await peer.wait_closed() == (4321, "enough ü")
        assert await goodbyes(witness, peer.sid) == [[4321, "enough ü"]]


async def test_a_client_that_says_goodbye_is_noticed_once(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer, witness = await clients.welcome(), await clients.welcome()
        await peer.close(1000, "done")

        # What hypercorn reports, whatever the client's code was.
        assert await goodbyes(witness, peer.sid) == [[1006, ""]]


async def test_what_is_sent_to_who_has_gone_goes_nowhere(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        peer, witness = await clients.welcome(), await clients.welcome()
        await peer.ask("join", "lobby")
        peer.reset()
        await goodbyes(witness, peer.sid)
        before = await witness.ask("statistics")
        await witness.ask("emit", {"event": "hi", "to": peer.sid})
        await witness.ask("emit", {"event": "hi", "room": "lobby"})

        after = await witness.ask("statistics")
        assert after["unknown_recipients"] == before["unknown_recipients"] + 1
        assert after["rooms"] == 0


async def test_a_handler_that_outlives_its_client_is_cancelled_after_its_grace(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        witness = await clients.welcome()
        hanging, lingering = await clients.welcome(), await clients.welcome()
        await hanging.emit("hang")
        await lingering.emit("linger")
        # A reset takes with it what the server has not read yet.
        await hanging.expect("began")
        await lingering.expect("began")
        hanging.reset()
        lingering.reset()

        assert len(await goodbyes(witness, hanging.sid)) == 1
        assert len(await goodbyes(witness, lingering.sid)) == 1
        # on_disconnect comes after the handler, so both have ended by now.
        assert await witness.ask("ending", hanging.sid) == "cancelled"
        assert await witness.ask("ending", lingering.sid) == "tidied up"


async def test_messages_of_a_client_wait_for_its_handler_and_for_nobody_elses(
    server: HypercornServer,
) -> None:
    async with crowd(server) as clients:
        hanging, other = await clients.welcome(), await clients.welcome()
        await hanging.emit("hang")
        await hanging.emit("echo", 1, id=1)

        assert await other.ask("echo", 1) == 1
        # And what others send it does not wait for its handler.
        await hanging.expect("began")
        await other.ask("emit", {"event": "hi", "to": hanging.sid})
        assert await hanging.expect("hi") is None
