"""What comes from clients, as nobody has thought of it: for every fuzzer.

Deeper: GREENROOM_FUZZ=100 makes a hundred times as many examples, as docs/security.md
says.
"""

from __future__ import annotations

import json
import operator
import os
import string
import zlib
from collections.abc import Sequence
from typing import AnyStr

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

DEPTH = int(os.environ.get("GREENROOM_FUZZ", "1"))


def against_a_server(examples: int) -> settings:
    """Settings for so many *examples*, tried on a server that all of them share.

    The same ones each time; but others in a deeper run, which says how to have
    again the one that has failed.  They are not made smaller: a server that has
    ended fails with whatever comes.
    """
    return settings(
        max_examples=examples * DEPTH,
        derandomize=DEPTH == 1,
        database=None,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def damage(draw: st.DrawFn, whole: AnyStr, put_in: Sequence[AnyStr]) -> AnyStr:
    """*whole*, in which something was cut out, doubled, or one of *put_in*."""
    begin = draw(st.integers(0, len(whole)))
    end = draw(st.integers(begin, min(begin + 40, len(whole))))
    middles = list(put_in)
    middles += [whole[:0], whole[begin:end] * 2]
    middle = draw(st.sampled_from(middles))
    return whole[:begin] + middle + whole[end:]


# -- what messages say -----------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["/", "/x", "__x", "ping", "x" * 257, "\u2028", "<b>"]),
    st.sampled_from(["echo", "join", 1]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=8), inner, max_size=4),
    ),
    max_leaves=8,
)
keys = st.sampled_from(["event", "data", "namespace", "id", "ack", "error", "x"])
envelopes = st.dictionaries(keys, values, max_size=7).map(json.dumps)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """An envelope that is none any more."""
    return damage(draw, draw(envelopes), ['"', "\\", "{", "]", "\0"])


messages = st.one_of(
    envelopes,
    damaged(),
    st.text(max_size=200),
    # Lone surrogates and all, which no server should hand over.
    st.text(st.characters(exclude_categories=[]), max_size=50),
    st.text(string.printable, max_size=200),
    st.text('[]{}",:\\0', max_size=5000),
    st.binary(max_size=200),
)

# -- frames, as bytes ------------------------------------------------------

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
FINAL, COMPRESSED, MASKED = 0x80, 0x40, 0x80


@st.composite
def frames(draw: st.DrawFn, first: int, payload: bytes) -> bytes:
    """A client's frame that begins with *first*, flags and all."""
    size = len(payload)
    # Longer than need be, at times, which is forbidden.
    width = draw(st.sampled_from([0, 0, 0, 2, 8])) if size < 126 else 0
    width = width or (0 if size < 126 else 2 if size < 1 << 16 else 8)
    length = {0: size, 2: 126, 8: 127}[width]
    wide = size.to_bytes(width, "big") if width else b""
    mask = draw(st.one_of(st.just(bytes(4)), st.binary(min_size=4, max_size=4)))
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((first, MASKED | length)) + wide + mask + masked


def squeezed(payload: bytes) -> bytes:
    """*payload* as permessage-deflate has it."""
    squeeze = zlib.compressobj(wbits=-15)
    return (squeeze.compress(payload) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


controls = st.one_of(
    st.binary(max_size=125).flatmap(lambda said: frames(FINAL | PING, said)),
    st.binary(max_size=125).flatmap(lambda said: frames(FINAL | 0xA, said)),
    # Too long, and in pieces.
    st.binary(max_size=300).flatmap(lambda said: frames(PING, said)),
)
closes = st.one_of(
    st.sampled_from([b"\3\xe8", b"\3\xee", b"\3", b"", b"\3\xe8\xff", b"\0\0bye"]),
    st.binary(max_size=130),
).flatmap(lambda said: frames(FINAL | CLOSE, said))


@st.composite
def sendings(draw: st.DrawFn) -> bytes:
    """One message: whole, or in fragments with control frames between."""
    message = draw(messages)
    opcode, payload = 2, message if isinstance(message, bytes) else b""
    if isinstance(message, str):
        opcode, payload = TEXT, message.encode("utf-8", "surrogatepass")
    how = draw(st.sampled_from(["plain", "plain", "compressed", "not what it says"]))
    if how == "compressed":
        opcode, payload = COMPRESSED | opcode, squeezed(payload)
    elif how != "plain":
        opcode = COMPRESSED | opcode
    pieces = draw(st.sampled_from([1, 1, 1, 2, 5]))
    if pieces == 1:
        return draw(frames(FINAL | opcode, payload))
    cuts = sorted(draw(st.integers(0, len(payload))) for _ in range(pieces - 1))
    octets = b""
    ends = zip([0, *cuts], [*cuts, len(payload)], strict=True)
    for number, (begin, end) in enumerate(ends):
        last = FINAL if number == pieces - 1 else 0
        first = last | (opcode if number == 0 else 0)
        octets += draw(frames(first, payload[begin:end]))
        if draw(st.booleans()):
            octets += draw(controls)
    return octets


odd_frames = st.builds(
    operator.add,
    # Flags, opcode and length at random; not always masked.
    st.binary(min_size=2, max_size=2),
    st.binary(max_size=200),
)


@st.composite
def talk(draw: st.DrawFn) -> bytes:
    """What a client sends once it is in, or before."""
    parts = st.one_of(sendings(), sendings(), controls, closes, odd_frames)
    octets = b"".join(draw(st.lists(parts, min_size=1, max_size=8)))
    if draw(st.sampled_from([False, False, True])):
        octets = damage(draw, octets, [b"\0", b"\xff\xff", b"\x81\xfe\xff\xff"])
    return octets


# -- handshakes ------------------------------------------------------------

HOSTILE = [
    *(b"chat.test", b"https://chat.test", b"null", b"https://["),
    *(b"Bearer x", b"bearer", b"Bearer  ", b'a="', b"a=b; c", b";"),
    *(b"https://\xe2\x84\x80.test", b"http://chat.test:99999"),
]
NAMES = [
    *(b"host", b"Host", b"origin", b"ORIGIN", b"authorization", b"cookie"),
    *(b"x-forwarded-for", b"sec-websocket-protocol", b"user-agent", b""),
]
headers = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(NAMES), st.binary(max_size=12)),
        st.one_of(st.binary(max_size=60), st.sampled_from(HOSTILE)),
    ),
    max_size=6,
)
queries = st.one_of(st.binary(max_size=60), st.just(b"access_token=%ff%00&a=b&&="))


def header_line(name: bytes, value: bytes) -> bytes:
    return name + b": " + value


def first_line(method: bytes, target: bytes, version: bytes) -> bytes:
    return b" ".join([method, target, version])


GOOD = [
    *(b"host: x", b"upgrade: websocket", b"connection: upgrade"),
    *(b"sec-websocket-version: 13", b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="),
]
CONTROLS = bytes((*range(32), 127))
# A header that can be read.
readable = st.builds(
    header_line,
    st.sampled_from([name for name in NAMES if name]),
    st.one_of(
        st.sampled_from(HOSTILE),
        st.binary(max_size=60).map(lambda octets: octets.translate(None, CONTROLS)),
    ),
)
# What a server looks at itself.
meant = st.builds(
    header_line,
    st.sampled_from(
        [
            *(b"sec-websocket-extensions", b"sec-websocket-protocol", b"connection"),
            *(b"sec-websocket-key", b"sec-websocket-version", b"upgrade", b"expect"),
            *(b"content-length", b"transfer-encoding", b"http2-settings", b"te"),
        ]
    ),
    st.sampled_from(
        [
            *(b"permessage-deflate", b"permessage-deflate; server_max_window_bits"),
            *(b"permessage-deflate; client_max_window_bits=0", b",,;=", b"h2c", b""),
            *(b"chunked", b"99999999999999999999", b"-1", b"0", b"5", b"\xff", b"\xb2"),
            *(b"100-continue", b"AAMAAABkAAQAoAAAAAIAAAAA", b"close, upgrade"),
        ]
    ),
)
odd_lines = st.builds(
    first_line,
    st.sampled_from([b"GET", b"GET", b"GET", b"get", b"POST", b"PRI", b""]),
    st.one_of(
        queries.map(lambda query: b"/ws?" + query),
        st.sampled_from([b"/ws?access_token=ann%27s", b"/ws?access_token=eve"]),
        st.sampled_from([b"/", b"*", b"//ws", b"http://x/ws", b"/ws%0a", b"/ws#"]),
        st.just(b"/ws/" + b"x" * 70_000),
    ),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9"]),
)


@st.composite
def handshakes(draw: st.DrawFn) -> bytes:
    """The bytes of a handshake that is not as it should be, and what comes behind."""
    line = draw(st.one_of(st.just(b"GET /ws HTTP/1.1"), odd_lines))
    lines = [line, *GOOD]
    hows = ["readable", "readable", "meant", "meant", "drop", "double", "long", "any"]
    for how in draw(st.lists(st.sampled_from(hows), max_size=3)):
        at = draw(st.integers(1, len(lines)))
        match how:
            case "readable":
                lines.insert(at, draw(readable))
            case "meant":
                lines.insert(at, draw(meant))
            case "drop":
                del lines[at : at + 1]
            case "double":
                lines.insert(at, lines[at - 1])
            case "long":
                size = draw(st.sampled_from([100, 8_000, 17_000, 70_000]))
                lines[at - 1] += b"x" * size
            case _:
                lines[at:at] = [header_line(*header) for header in draw(headers)]
    ends = draw(st.sampled_from([*[b"\r\n"] * 8, b"\n", b"\r\n "]))
    octets = ends.join([*lines, b"", b""])
    match draw(st.sampled_from([*["whole"] * 6, "damaged", "cut"])):
        case "damaged":
            octets = damage(draw, octets, [b"\0", b"\r\n", b"\xff", b" ", b":"])
        case "cut":
            return octets[: draw(st.integers(0, len(octets)))]
        case _:
            pass
    return octets + draw(st.one_of(st.just(b""), st.binary(max_size=50), talk()))
