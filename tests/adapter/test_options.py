from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from greenroom import Options, Overflow

COUNTS = [
    "inbox_messages",
    "outbox_messages",
    "outbox_bytes",
    "max_message_bytes",
    "max_depth",
    "max_strikes",
    "max_rooms",
    "max_acks",
    "drain_batch",
    "max_connections",
    "max_connections_per_address",
    "handshake_burst",
    "handshake_addresses",
    "max_bans",
    "inbox_bytes",
    "message_burst",
    "byte_burst",
    "history_messages",
    "history_bytes",
    "max_histories",
]
SECONDS = [
    "send_seconds",
    "handler_grace",
    "disconnect_seconds",
    "close_seconds",
    "drain_seconds",
    "ack_seconds",
    "handshake_seconds",
    "renew_seconds",
    "pong_seconds",
    "presence_seconds",
    "history_seconds",
]
# Not at all is what it is by default.
SPREADS = [
    "drain_spread",
    "ping_seconds",
    "idle_seconds",
    "identify_seconds",
    "message_rate",
    "byte_rate",
    "handshake_rate",
]
OTHERS = [
    "overflow",
    "namespace_overflow",
    "excess",
    "trusted_origins",
    "subprotocols",
    "health_path",
]
POLICIES = [Overflow.STOP, Overflow.DROP_OLD, Overflow.DROP_NEW, Overflow.CONFLATE]


def make(name: str, value: object) -> Options:
    arguments: dict[str, Any] = {name: value}
    return Options(**arguments)


def test_every_option_is_tested() -> None:
    tested = {*COUNTS, *SECONDS, *SPREADS, *OTHERS}
    assert tested == {field.name for field in fields(Options)}


def test_everything_is_bounded_by_default() -> None:
    options = Options()
    for name in {*COUNTS, *SECONDS} - {"max_connections_per_address"}:
        assert 0 < getattr(options, name) < math.inf


def test_options_are_frozen_and_keyword_only() -> None:
    with pytest.raises(FrozenInstanceError):
        Options().inbox_messages = 5  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(TypeError):
        Options(5)  # type: ignore[call-arg]  # likewise


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", ["5", 5.0, None, True])
def test_a_count_is_an_int(name: str, value: object) -> None:
    with pytest.raises(
        TypeError, match=f"{name} must be an int of at least .*, got {value!r}"
    ):
        make(name, value)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_has_a_least_value(name: str) -> None:
    least = 0 if name in ("max_strikes", "max_connections_per_address") else 1
    assert getattr(make(name, least), name) == least
    with pytest.raises(
        ValueError, match=f"{name} must be an int of at least {least}, got"
    ):
        make(name, least - 1)


@pytest.mark.parametrize("name", [*SECONDS, *SPREADS])
@pytest.mark.parametrize("value", ["5", None, True])
def test_seconds_are_a_number(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a number, got {value!r}"):
        make(name, value)


@pytest.mark.parametrize("name", [*SECONDS, *SPREADS])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_seconds_are_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0 and finite, got"):
        make(name, value)


@pytest.mark.parametrize("name", [*SECONDS, *SPREADS])
@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5])
def test_seconds_may_be_whole_or_not(name: str, value: float) -> None:
    assert getattr(make(name, value), name) == value


@pytest.mark.parametrize("value", POLICIES)
def test_a_full_outbox_disconnects_or_drops(value: Overflow) -> None:
    assert Options(overflow=value).overflow is value


@pytest.mark.parametrize("value", [Overflow.REJECT, Overflow.BLOCK, "stop", None, 1])
def test_a_full_outbox_cannot_do_anything_else(value: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"overflow must be one of Overflow\.STOP, Overflow\.DROP_OLD, "
        r"Overflow\.DROP_NEW, Overflow\.CONFLATE, got",
    ):
        make("overflow", value)


def test_a_namespace_has_a_policy_of_its_own() -> None:
    policies = {"/ticks": Overflow.CONFLATE}
    options = Options(namespace_overflow=policies)
    policies["/chat"] = Overflow.DROP_OLD
    assert options.overflow_in("/ticks") is Overflow.CONFLATE
    assert options.overflow_in("/chat") is None
    assert options == Options(namespace_overflow={"/ticks": Overflow.CONFLATE})


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("/ticks", TypeError, "namespace_overflow must be a mapping of namespaces"),
        ({1: Overflow.STOP}, TypeError, "namespace must be a str, got 1"),
        ({"x": Overflow.STOP}, ValueError, "namespace must begin with '/', got 'x'"),
        (
            {"/x": Overflow.BLOCK},
            ValueError,
            r"namespace_overflow\['/x'\] must be one of Overflow\.STOP",
        ),
    ],
)
def test_a_wrong_policy_of_a_namespace_is_refused(
    value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make("namespace_overflow", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_origins", ["https://example.com", "https://*.example.com:8443"]),
        ("trusted_origins", ["*"]),
        ("trusted_origins", ["null", "capacitor://localhost"]),
        ("trusted_origins", []),
        ("subprotocols", ["chat.v2", "chat.v1"]),
    ],
)
def test_several_texts_are_kept_as_they_are(name: str, value: list[str]) -> None:
    options = make(name, value)
    assert getattr(options, name) == tuple(value)
    assert hash(getattr(options, name)) is not None


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("trusted_origins", "https://x.org", TypeError, "must be several str"),
        ("trusted_origins", [1], TypeError, "must be several str, got 1 in it"),
        ("trusted_origins", ["x.org"], ValueError, "must be an origin such as"),
        ("trusted_origins", ["https://x.org/"], ValueError, "must be an origin such"),
        ("trusted_origins", ["https://a*.org"], ValueError, "must be an origin such"),
        ("trusted_origins", 5, TypeError, "must be several str"),
        ("subprotocols", "chat", TypeError, "must be several str"),
        ("subprotocols", ["chat v2"], ValueError, "must be a token each"),
        ("excess", "close", TypeError, "excess must be an Excess, got 'close'"),
        ("health_path", 1, TypeError, "health_path must be a str, got 1"),
        ("health_path", "health", ValueError, "health_path must begin with '/'"),
    ],
)
def test_what_is_none_of_them_is_refused(
    name: str, value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make(name, value)


def test_a_history_fits_an_outbox() -> None:
    options = Options(outbox_messages=10, outbox_bytes=1000)
    assert (options.history_messages, options.history_bytes) == (10, 1000)
    assert Options(history_messages=256).history_messages == 256
    with pytest.raises(
        ValueError, match="history_messages must be at most outbox_messages, 256"
    ):
        Options(history_messages=257)
    with pytest.raises(
        ValueError, match="history_bytes must be at most outbox_bytes, 500"
    ):
        Options(outbox_bytes=500, history_bytes=501)
