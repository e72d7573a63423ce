"""Floods, from one address and from many, and what becomes of who sends too much."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

import pytest
import trio
from trio_websocket import ConnectionClosed

from .apps.flooded import BURST, GUESSES, MOST, MOST_BY_ADDRESS, RATE, STRIKES
from .client import Frame, Peer, alone
from .client import crowd as client_crowd
from .crowd import CLOSE, FINAL, REQUEST, TEXT, build
from .server import HypercornServer, hypercorn_server, unhurried
from .siege import Attacker, Siege, siege
from .witness import SMALL_BUFFER, check_log, linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

# Of a round trip beside a flood.
PATIENCE = 1.0
MEGABYTE = 1e6

ADDRESSES = [f"127.0.0.{host}" for host in range(2, 202)]
SURPLUS = 300

PING = 0x9


def piece(opcode: int, payload: bytes) -> bytes:
    """A frame that others follow."""
    whole = build(payload, opcode)
    return bytes((whole[0] & ~FINAL,)) + whole[1:]


COUNTERS = "rate_limited", "strikes", "rate_closed"

COME_IN = REQUEST % b""
TOO_MANY = b"too many messages", b"rate_limited"
FLOODS = [
    (build(b'{"event":"echo"}') * 300, *TOO_MANY),
    # Within the rate of messages, but not of bytes.
    (build(b'{"event":"echo","data":"%s"}' % (b"x" * 2000)) * 60, *TOO_MANY),
    # What is no message counts as well: pings, and the pieces of one without end.
    (build(b"", PING) * 300, *TOO_MANY),
    (piece(TEXT, b"x") + piece(0, b"y") * 300, *TOO_MANY),
    (build(b"nonsense") * 200, b"too many unreadable messages", b"malformed"),
]


@pytest.fixture(scope="module")
def server(worker: str) -> Iterator[HypercornServer]:
    app = "tests.live.apps.flooded:app"
    # Else the kernel keeps megabytes of each flood.
    with hypercorn_server(app, worker, socket_buffer=SMALL_BUFFER) as server:
        yield server
        check_log(server)


def goodbye(code: int, reason: bytes) -> bytes:
    """The frame that says it."""
    payload = code.to_bytes(2, "big") + reason
    return bytes((0x80 | CLOSE, len(payload))) + payload


def flood(attack: Siege, those_in: list[Attacker]) -> None:
    """Have all of *those_in* send what they must not, until each is put out."""
    floods = [FLOODS[number % len(FLOODS)] for number in range(len(those_in))]
    for attacker, (octets, _, _) in zip(those_in, floods, strict=True):
        attacker.put(octets)
    attack.watch("the end of the flood", lambda: all(it.closed for it in those_in))
    for attacker, (_, reason, error) in zip(those_in, floods, strict=True):
        assert attacker.told.endswith(goodbye(1008, reason)), attacker.told[-500:]
        # It was told what for before.
        assert attacker.told.count(error) == STRIKES


def check_costs(attack: Siege) -> None:
    assert attack.seen.slowest < unhurried(PATIENCE)
    assert attack.seen.memory < 20 * MEGABYTE


def test_a_flood_from_one_address_has_the_room_of_one(
    server: HypercornServer, request: pytest.FixtureRequest
) -> None:
    surplus = 429, b"too many connections from one address"
    (here, elsewhere, *_) = ADDRESSES
    with witness(server) as watching, siege(watching) as attack:
        before = watching.ask("statistics")
        attack.knock_all([(COME_IN, here)] * (MOST_BY_ADDRESS + SURPLUS))
        attack.watch_all_answers()
        print(f"{request.node.name}, all answered: {attack.seen}")
        assert attack.answers() == {(101, b""): MOST_BY_ADDRESS, surplus: SURPLUS}
        other = attack.knock(COME_IN, elsewhere)
        attack.watch("another's welcome", lambda: b"welcome" in other.told)

        those_in = [each for each in attack.attackers if each.status == 101]
        those_in.remove(other)
        flood(attack, those_in)
        print(f"{request.node.name}: {attack.seen}")
        check_costs(attack)
        assert not other.closed
        after = watching.ask("statistics")
        assert after["refused_address"] - before["refused_address"] == SURPLUS
        # Its places are free again.
        again = attack.knock(COME_IN, here)
        attack.watch("a welcome", lambda: b"welcome" in again.told)


def test_a_flood_from_many_addresses_fills_the_house_and_is_put_out(
    server: HypercornServer, request: pytest.FixtureRequest
) -> None:
    with witness(server) as watching, siege(watching) as attack:
        before = watching.ask("statistics")
        attack.knock_all([(COME_IN, address) for address in ADDRESSES * 2])
        attack.watch_all_answers()
        print(f"{request.node.name}, all answered: {attack.seen}")
        surplus = 2 * len(ADDRESSES) - (MOST - 1)
        # No address had more than two: it is the house that is full.
        assert attack.answers() == {(101, b""): MOST - 1, (503, b"full"): surplus}

        those_in = [each for each in attack.attackers if each.status == 101]
        flood(attack, those_in)
        print(f"{request.node.name}: {attack.seen}")
        check_costs(attack)
        after = watching.ask("statistics")
        assert after["refused_full"] - before["refused_full"] == surplus
        kinds = Counter(FLOODS[at % len(FLOODS)][2] for at in range(len(those_in)))
        limited = after["rate_limited"] - before["rate_limited"]
        assert limited == kinds[b"rate_limited"] * (STRIKES + 1)
        # Of who has been put out nothing counts any more.
        strikes = after["strikes"] - before["strikes"]
        assert strikes == len(those_in) * (STRIKES + 1)
        assert after["struck_out"] - before["struck_out"] == len(those_in)
        newcomers = attack.knock_all([(COME_IN, address) for address in ADDRESSES[:9]])
        attack.watch(
            "all welcomes", lambda: all(b"welcome" in it.told for it in newcomers)
        )


def test_guesses_from_one_address_are_soon_not_heard_any_more(
    server: HypercornServer, request: pytest.FixtureRequest
) -> None:
    guess, right = (
        COME_IN.replace(b"/ws", b"/door?access_token=" + word)
        for word in (b"guess", b"right")
    )
    (here, elsewhere, *_) = ADDRESSES
    hurried = 429, b"too many handshakes from one address"
    with witness(server) as watching, siege(watching) as attack:
        attack.knock_all([(guess, here)] * (GUESSES + SURPLUS))
        attack.watch_all_answers()
        print(f"{request.node.name}: {attack.seen}")
        wrong = 401, b"not authenticated"
        assert attack.answers() == {wrong: GUESSES, hurried: SURPLUS}
        check_costs(attack)
        # Not even what it has been looking for.
        late, other = attack.knock(right, here), attack.knock(right, elsewhere)
        attack.watch("another's welcome", lambda: b"welcome" in other.told)
        attack.watch("an answer", lambda: hurried[1] in late.told)


# -- what becomes of one who sends too much --------------------------------


async def all_that_comes(peer: Peer) -> list[Frame]:
    """Everything that *peer* is sent, up to its close frame."""
    frames: list[Frame] = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            frames.append(await peer.receive())
    return frames


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "errors", "counts"),
    [
        pytest.param("/ws", STRIKES, [STRIKES + 1, STRIKES + 1, 0], id="strike"),
        pytest.param("/close", 0, [0, 0, 1], id="close"),
    ],
)
async def test_one_that_sends_too_much_is_put_out_and_told_why(
    server: HypercornServer, path: str, errors: int, counts: list[int]
) -> None:
    async with client_crowd(server) as clients:
        other, greedy = await clients.welcome(path), await clients.welcome(path)
        before = await other.ask("statistics")
        await greedy.send_raw(build(b'{"event":"echo"}') * (4 * BURST))
        frames = await all_that_comes(greedy)
        assert await greedy.wait_closed() == (1008, "too many messages")
        assert [frame["error"]["code"] for frame in frames] == ["rate_limited"] * errors

        assert await other.ask("echo", 1) == 1
        after = await other.ask("statistics")
        counted = [after[name] - before[name] for name in COUNTERS]
        assert counted == counts
        assert after["throttled"] == before["throttled"]
        # What came within the rate has its own order of things; what came after
        # that was not handled.
        assert await other.ask("handled", greedy.sid) < 2 * BURST
        await alone(other)


@pytest.mark.anyio
async def test_one_that_is_throttled_has_all_its_answers_later(
    server: HypercornServer,
) -> None:
    async with client_crowd(server) as clients:
        other, greedy = (
            await clients.welcome("/throttle"),
            await clients.open("/throttle"),
        )
        await greedy.expect("welcome")
        before = await other.ask("statistics")
        asks = [b'{"event":"echo","data":%d,"id":1}' % at for at in range(BURST + 30)]
        began = trio.current_time()
        await greedy.send_raw(b"".join(build(ask) for ask in asks))
        assert await other.ask("echo", 1) == 1
        for number in range(len(asks)):
            assert await greedy.receive() == {"ack": 1, "data": number}
        assert trio.current_time() - began > 30 / RATE * 0.9
        after = await other.ask("statistics")
        assert after["throttled"] - before["throttled"] >= 10
        assert [after[name] - before[name] for name in COUNTERS] == [0, 0, 0]
        await greedy.ping()
