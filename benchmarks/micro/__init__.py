"""Duels: an actor against an anyio memory object stream with a task behind it.

Each duel is fought on one event loop, in turns, and judged by processor time.
"""
