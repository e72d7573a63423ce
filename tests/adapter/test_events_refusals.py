"""What the log says of those who are not let in, or put out: no secret, no error."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from greenroom import ActorAdapter, Excess, Handshake, Identity, Options
from greenroom.testing import Refused, TransportClosed, connect

from .support import named

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, at every level."""
    caplog.set_level(logging.DEBUG, "greenroom.adapter")
    return caplog


class Wrong(Exception):
    """Says what it should not, however it is looked at."""

    def __bool__(self) -> bool:
        return False


def check_token(token: str, how: str) -> None:
    """Fail, with *token* in the text of the exception or of what it comes from."""
    match how:
        case "by itself":
            raise KeyError(token)
        case "by its cause":
            raise RuntimeError("no session") from Wrong(token)
        case "by its context":
            try:
                raise Wrong(token)
            except Wrong:
                raise OSError(5, token) from None
        case "by a note":
            error = ValueError()
            error.add_note(token)
            raise error
        case "in a group":
            group = ExceptionGroup(token, [Wrong(token), KeyError(token)])
            # As a ring, too, which no end is found of.
            group.exceptions[0].__cause__ = group
            raise group
        case _:
            raise UnicodeDecodeError("ascii", token.encode(), 0, 1, token)


@pytest.mark.parametrize(
    "how",
    [
        "by itself",
        "by its cause",
        "by its context",
        "by a note",
        "in a group",
        "by its object",
    ],
)
async def test_whatever_a_hook_raises_its_credentials_are_in_no_record(
    log: pytest.LogCaptureFixture, how: str
) -> None:
    adapter = ActorAdapter(debug=True)

    @adapter.authenticate()
    async def who(handshake: Handshake) -> Identity | None:
        assert handshake.token is not None
        check_token(handshake.token, how)
        return None

    async with adapter.running():
        with pytest.raises(Refused, match="500 authenticate failed") as refused:
            async with connect(adapter, query=f"access_token={SECRET}"):
                pass
    assert SECRET not in str(refused.value)
    assert SECRET not in log.text
    formatter = logging.Formatter("%(asctime)s %(name)s %(message)s")
    for record in log.records:
        # Nor where a formatter of somebody else's would look for it.
        assert record.exc_info is None or SECRET not in str(record.exc_info)
        assert SECRET not in formatter.format(record) + str(record.__dict__)
    (failed,) = named(log, "authenticate_failed")
    assert failed["exc_info"] is None
    # It says what it was, and where.
    assert "in check_token" in failed["exc_text"]
    assert Path(__file__).name in failed["exc_text"]
    kinds = {
        "by itself": ["builtins.KeyError"],
        "by its cause": ["builtins.RuntimeError", f"{__name__}.Wrong"],
        "by its context": ["builtins.OSError", f"{__name__}.Wrong"],
        "by a note": ["builtins.ValueError"],
        "in a group": [
            "builtins.ExceptionGroup",
            "builtins.KeyError",
            f"{__name__}.Wrong",
        ],
        "by its object": ["builtins.UnicodeDecodeError"],
    }[how]
    lines = failed["exc_text"].split("\n")
    found = [line.strip() for line in lines if "raised in" in line]
    assert found == [f"{kind}, raised in" for kind in kinds]
    assert all(line.isprintable() and len(line) < 600 for line in lines)


async def test_a_hook_that_hangs_is_no_failure(log: pytest.LogCaptureFixture) -> None:
    adapter = ActorAdapter(options=Options(handshake_seconds=0.02))

    @adapter.authenticate()
    async def who(handshake: Handshake) -> Identity | None:
        await anyio.sleep_forever()
        return None

    async with adapter.running():
        with pytest.raises(Refused, match="503 authenticate took too long"):
            async with connect(adapter, address="10.0.0.7"):
                pass
    (slow,) = named(log, "authenticate_slow")
    assert (slow["levelname"], slow["exc_text"]) == ("WARNING", None)
    assert (slow["address"], slow["seconds"]) == ("'10.0.0.7'", 0.02)
    assert named(log, "authenticate_failed") == []
    assert {record.levelname for record in log.records} == {"DEBUG", "WARNING"}


async def test_who_is_refused_is_told_as_far_as_it_is_known(
    log: pytest.LogCaptureFixture,
) -> None:
    adapter = ActorAdapter()

    @adapter.authenticate()
    def who(handshake: Handshake) -> Identity:
        return Identity("eve\n")

    async with adapter.running():
        await adapter.ban(user="eve\n")
        assert await adapter.unban(user="eve\n")
        assert not await adapter.unban(user="eve\n")
        await adapter.ban(user="eve\n")
        for headers in ({"origin": "https://" + "e" * 99}, {}):
            with pytest.raises(Refused):
                async with connect(adapter, headers=headers):
                    pass
    there, eve = named(log, "refused")
    assert (there["cause"], there["user"]) == ("origin", None)
    assert there["origin"] == "'https://" + "e" * 55
    assert (eve["cause"], eve["user"], eve["origin"]) == ("banned", "'eve\\n'", None)
    assert eve["address"] == "'127.0.0.1'"
    (unbanned,) = named(log, "unbanned")
    assert (unbanned["kind"], unbanned["who"]) == ("user", "'eve\\n'")
    assert unbanned["levelname"] == "INFO"


@pytest.mark.parametrize(
    ("name", "options", "fields"),
    [
        (
            "struck_out",
            {"max_strikes": 1},
            {"user": "'Ann'", "address": "'10.0.0.7'", "cause": "malformed"},
        ),
        (
            "rate_closed",
            {"message_rate": 0.01, "message_burst": 1, "excess": Excess.CLOSE},
            {"user": "'Ann'", "address": "'10.0.0.7'"},
        ),
        ("expired", {}, {"user": "'Ann'"}),
        ("idle", {"idle_seconds": 0.02}, {}),
    ],
)
@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
async def test_who_is_put_out_is_told_at_debug(
    log: pytest.LogCaptureFixture,
    name: str,
    options: dict[str, Any],
    fields: dict[str, str],
    level: int,
) -> None:
    log.set_level(level, "greenroom.adapter")
    adapter = ActorAdapter(options=Options(**options))

    @adapter.authenticate()
    def who(handshake: Handshake) -> Identity:
        return Identity("Ann", seconds=0.02 if name == "expired" else None)

    async with (
        adapter.running(),
        connect(adapter, address="10.0.0.7") as client,
    ):
        with suppress(TransportClosed):
            if fields.keys() > {"user"}:
                await client.peer.send("nonsense")
                await client.peer.send("nonsense")
        await client.wait_closed()
    assert getattr(adapter.statistics(), name) == 1
    told = named(log, name)
    assert len(told) == (level == logging.DEBUG)
    for each in told:
        assert each["sid"].startswith("~")
        assert {field: each[field] for field in fields} == fields
