"""Hundreds of clients that send what is no handshake, or no WebSocket frame."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from .crowd import REQUEST, SWITCHING, Crowd, Member, build
from .server import HypercornServer
from .witness import linux_only, witness

pytestmark = [pytest.mark.live, linux_only]

SEEDS = range(3)
CLIENTS = 100
SOMETHING = bytes(range(256))


# -- frames ----------------------------------------------------------------


def frame(
    rng: random.Random, first: int, payload: bytes, *, masks: bool = True
) -> bytes:
    """A frame, the first byte of which is *first*."""
    head = bytearray(build(payload))
    head[0] = first
    if masks:
        return bytes(head)
    del head[len(head) - len(payload) - 4 : len(head) - len(payload)]
    head[1] &= 0x7F
    return bytes(head)


def bad_opcode(rng: random.Random) -> bytes:
    return frame(rng, 0x80 | rng.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), b"{}")


def reserved_bits(rng: random.Random) -> bytes:
    return frame(rng, 0x81 | rng.randrange(1, 8) << 4, b"{}")


def not_masked(rng: random.Random) -> bytes:
    return frame(rng, 0x81, b"x" * rng.choice([0, 1, 125, 126, 70_000]), masks=False)


def half_a_length(rng: random.Random) -> bytes:
    whole = b"\x81" + rng.choice([b"\xfe\xff\xff", b"\xff" + b"\0" * 5 + b"\1\0\0"])
    return whole[: rng.randrange(1, len(whole))]


def length_beyond_all(rng: random.Random) -> bytes:
    return b"\x82\xff" + rng.randrange(1 << 25, 1 << 64).to_bytes(8, "big") + SOMETHING


def longer_than_it_is(rng: random.Random) -> bytes:
    return build(SOMETHING * 2)[: rng.randrange(8, 500)]


def not_utf8(rng: random.Random) -> bytes:
    bad = [b"\xc3\x28", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
    return build(b'{"event":"' + rng.choice(bad) + b'"}')


def control_in_parts(rng: random.Random) -> bytes:
    return frame(rng, rng.choice([0x08, 0x09, 0x0A]), b"xx") + frame(rng, 0x80, b"x")


def long_control(rng: random.Random) -> bytes:
    return frame(rng, rng.choice([0x88, 0x89, 0x8A]), b"x" * rng.randrange(126, 999))


def parts_out_of_order(rng: random.Random) -> bytes:
    begun = frame(rng, 0x01, b'{"ev')
    return rng.choice([begun + build(b"{}"), frame(rng, 0x80, b"x"), begun])


def bad_close(rng: random.Random) -> bytes:
    payload = rng.choice([b"\x03", b"\x03\xed", b"\0\0", b"\xff\xff", b"\x03\xe8\xff"])
    return frame(rng, 0x88, payload) + build(b"{}")


def noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([1, 2, 14, 300, 5000]))


def good_with_one_byte_changed(rng: random.Random) -> bytes:
    octets = bytearray(build(b'{"event":"echo","data":"hello","id":1}'))
    octets[rng.randrange(len(octets))] = rng.randrange(256)
    return bytes(octets)


FRAMES: list[Callable[[random.Random], bytes]] = [
    bad_opcode,
    reserved_bits,
    not_masked,
    half_a_length,
    length_beyond_all,
    longer_than_it_is,
    not_utf8,
    control_in_parts,
    long_control,
    parts_out_of_order,
    bad_close,
    noise,
    good_with_one_byte_changed,
]


# -- handshakes ------------------------------------------------------------

GOOD = REQUEST % b""
LINES = GOOD[:-4].split(b"\r\n")
ODD_LINES = [
    b"",
    b":",
    b"x",
    b" folded",
    b"content-length: -1",
    b"content-length: 100",
    b"transfer-encoding: chunked",
    b"transfer-encoding: nonsense",
    b"expect: 100-continue",
    b"sec-websocket-version: 8",
    b"sec-websocket-key: x",
    b"sec-websocket-protocol: a, b,,",
    b"sec-websocket-extensions: permessage-deflate; client_max_window_bits=99",
    b"sec-websocket-extensions: permessage-deflate; server_max_window_bits=x",
    b"sec-websocket-extensions: permessage-deflate, permessage-deflate",
    b"sec-websocket-extensions: ;;,=",
    b"x-long: " + b"x" * 20_000,
    b"x-null: \0",
    b"x-latin: \xff\xfe",
    b"host: y",
]
ODD_STARTS = [
    b"GET /ws HTTP/1.0",
    b"GET /ws HTTP/0.9",
    b"GET /ws HTTP/2.0",
    b"GET /elsewhere HTTP/1.1",
    b"GET /ws?%ff%zz HTTP/1.1",
    b"GET /%2e%2e/ws HTTP/1.1",
    b"GET ws HTTP/1.1",
    b"GET http://x/ws HTTP/1.1",
    b"GET /ws\xff HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
]


def is_plain_http(octets: bytes) -> bool:
    """Whether hypercorn would take it for a request that asks for no WebSocket.

    Its trio worker can be ended by such a one with something behind it: two of
    its tasks write at the same time.  That is between it and the world.
    """
    head, ends, _ = octets.lower().replace(b"\r\n", b"\n").partition(b"\n\n")
    start, *lines = head.split(b"\n")
    asks = [it for it in lines if it.startswith((b"upgrade", b"connection"))]
    right = [b"upgrade: websocket", b"connection: upgrade"]
    return bool(ends) and not (start.startswith(b"get ") and asks == right)


def bad_handshake(rng: random.Random) -> bytes:
    """A good handshake with something done to it."""
    while is_plain_http(octets := mutated(rng)):
        pass
    return octets


def mutated(rng: random.Random) -> bytes:
    lines = list(LINES)
    which = rng.randrange(len(lines))
    kind = rng.randrange(8)
    if kind == 0:
        lines[0] = rng.choice(ODD_STARTS)
    elif kind == 1:
        del lines[which]
    elif kind == 2:
        lines.insert(which, lines[which])
    elif kind in (3, 4):
        lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(ODD_LINES))
    octets = bytearray(b"\r\n".join(lines) + b"\r\n\r\n")
    if kind == 5:
        for _ in range(rng.randrange(1, 4)):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
    elif kind == 6:
        del octets[rng.randrange(1, len(octets)) :]
    elif kind == 7:
        octets += rng.choice([build(b"{}"), SOMETHING, GOOD, b"\x88\x80\0\0\0\0"])
    return bytes(octets)


def end_all(clients: Crowd, members: list[Member], rng: random.Random) -> None:
    """Have each leave: some at once, others when the server has had enough."""
    for member in members:
        way = rng.randrange(3)
        if way == 0:
            member.reset()
        else:
            # Whatever it makes of what came: nothing more will.
            member.half_close()
    clients.wait_all("the server's end of it", members, lambda member: member.closed)


@pytest.mark.parametrize("seed", SEEDS)
def test_frames_that_are_none_harm_nobody_else(
    faulty: HypercornServer, seed: int
) -> None:
    rng = random.Random(seed)
    with witness(faulty) as watching:
        members = watching.clients.welcome(CLIENTS)
        for number, member in enumerate(members):
            if number % 3 == 0:
                member.emit("echo")
            member.put(FRAMES[number % len(FRAMES)](rng))
        assert watching.ask("echo", seed) == seed
        end_all(watching.clients, members, rng)

        hows = watching.wait_gone()
        assert {member.sid for member in members} <= hows.keys()
        assert watching.ask("echo", seed) == seed


@pytest.mark.parametrize("seed", SEEDS)
def test_handshakes_that_are_none_harm_nobody_else(
    faulty: HypercornServer, seed: int
) -> None:
    rng = random.Random(seed)
    with witness(faulty) as watching:
        clients = watching.clients
        members: list[Member] = []
        for _ in range(CLIENTS):
            members.append(clients.knock(bad_handshake(rng)))
            if len(members) % 25 == 0:
                assert watching.ask("echo", seed) == seed
        end_all(clients, members, rng)

        watching.wait_gone()
        # Some were good after all, and some were not.
        heads = {it.head[: len(SWITCHING)] for it in members if it.head is not None}
        assert {SWITCHING, b"HTTP/1.1 400 "} <= heads
        (good,) = clients.welcome(1)
        assert clients.ask(good, "echo", seed) == seed
