"""Who is measured, and against whom."""

from __future__ import annotations

import sys

from .harness.dialect import Envelope, SocketIO
from .harness.server import Subject, hypercorn

SUBJECTS = (
    Subject(
        name="bare loop, asyncio",
        command=hypercorn("asyncio", "bare:app"),
        dialect=Envelope(),
        base="bare loop, asyncio",
    ),
    Subject(
        name="greenroom, asyncio",
        command=hypercorn("asyncio", "greenroom_app:app"),
        dialect=Envelope(),
        base="bare loop, asyncio",
    ),
    Subject(
        name="python-socketio, asyncio",
        command=hypercorn("asyncio", "socketio_app:app"),
        dialect=SocketIO(),
        base="bare loop, asyncio",
    ),
    Subject(
        name="bare loop, trio",
        command=hypercorn("trio", "bare:app"),
        dialect=Envelope(),
        base="bare loop, trio",
    ),
    Subject(
        name="greenroom, trio",
        command=hypercorn("trio", "greenroom_app:app"),
        dialect=Envelope(),
        base="bare loop, trio",
    ),
)

#: Not compared with anyone: it says how much the load client can take.
GAUGE = Subject(
    name="gauge",
    command=(sys.executable, "-m", "benchmarks.apps.blaster", "{fd}"),
    dialect=Envelope(),
    base="gauge",
)
