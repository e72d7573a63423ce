"""Batch: messages for the same members, one right behind the other."""

from __future__ import annotations


class Batch(tuple[object, ...]):
    """What is told to each of many mailboxes in one go.

    Attributes:
        piece: What a mailbox that takes several in one piece has made of them, for
            the next one that does; it goes when the batch does.
    """

    piece: object = None
