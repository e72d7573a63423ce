"""The gateway on our adapter, its methods called by way of trio-asyncio."""

from __future__ import annotations

from greenroom import ActorAdapter, TrioAsyncioBridge

from .nestipy_gateway import app_with

adapter = ActorAdapter(path="/ws")
app: object = TrioAsyncioBridge(app_with(adapter), adapter)
