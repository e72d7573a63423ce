"""Tested: which hypercorn it is whose insides are known here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

TESTED = "0.18."


def found() -> str:
    """The version of the hypercorn that is installed."""
    try:
        return version("hypercorn")
    except PackageNotFoundError:
        return "of no version"
