"""Who is measured, and against whom."""

from __future__ import annotations

import sys

from .harness.dialect import Dialect, Envelope, SocketIO
from .harness.server import Subject, hypercorn, node, uvicorn

ASYNCIO, TRIO = "bare loop, asyncio", "bare loop, trio"
NODE_SOCKETIO = "Node socket.io"
_ENVELOPE, _SOCKETIO = Envelope(), SocketIO()


def _subject(
    name: str,
    command: tuple[str, ...],
    *needs: str,
    base: str = ASYNCIO,
    dialect: Dialect = _ENVELOPE,
) -> Subject:
    return Subject(name, command, dialect, base, needs)


SUBJECTS = (
    _subject(ASYNCIO, hypercorn("asyncio", "bare:app")),
    _subject("greenroom, asyncio", hypercorn("asyncio", "greenroom_app:app")),
    _subject("greenroom, uvloop", hypercorn("uvloop", "greenroom_app:app"), "uvloop"),
    _subject(
        "greenroom, asyncio, plain ASGI", hypercorn("asyncio", "greenroom_plain:app")
    ),
    _subject(
        "Starlette, asyncio", hypercorn("asyncio", "starlette_app:app"), "starlette"
    ),
    _subject(
        "Starlette, uvicorn",
        uvicorn("starlette_app:app"),
        *("starlette", "uvicorn", "websockets"),
    ),
    _subject(
        "python-socketio, asyncio",
        hypercorn("asyncio", "socketio_app:app"),
        "socketio",
        dialect=_SOCKETIO,
    ),
    _subject(
        "python-socketio, uvicorn",
        uvicorn("socketio_app:app"),
        *("socketio", "uvicorn", "websockets"),
        dialect=_SOCKETIO,
    ),
    _subject("Node ws", node("ws.js"), "npm:ws"),
    _subject(NODE_SOCKETIO, node("socketio.js"), "npm:socket.io", dialect=_SOCKETIO),
    _subject(TRIO, hypercorn("trio", "bare:app"), base=TRIO),
    _subject("greenroom, trio", hypercorn("trio", "greenroom_app:app"), base=TRIO),
    _subject(
        "greenroom, trio, plain ASGI",
        hypercorn("trio", "greenroom_plain:app"),
        base=TRIO,
    ),
    _subject(
        "Starlette, trio",
        hypercorn("trio", "starlette_app:app"),
        "starlette",
        base=TRIO,
    ),
)

#: Who is also seen among many more connections.  That takes a while, and is asked
#: only of Greenroom on both loops, the bare loops, and Node.
GROWING = (
    *(ASYNCIO, "greenroom, asyncio", "Node ws", NODE_SOCKETIO),
    *(TRIO, "greenroom, trio"),
)

#: Not compared with anyone: it says how much the load client can take.
GAUGE = Subject(
    name="gauge",
    command=(sys.executable, "-m", "benchmarks.apps.blaster", "{fd}"),
    dialect=Envelope(),
    base="gauge",
)
