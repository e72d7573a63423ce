"""The gateway on our adapter."""

from __future__ import annotations

from greenroom import ActorAdapter

from .nestipy_gateway import app_with

app: object = app_with(ActorAdapter(path="/ws"))
