"""The table of metrics: complete, and right about a running adapter."""

from __future__ import annotations

import dataclasses
import re
import sys
import threading
from typing import Any, cast, get_type_hints

import anyio
import pytest

from greenroom import Actor, ActorAdapter, ChildSpec, Undelivered
from greenroom.adapter import (
    METRICS,
    AdapterStatistics,
    MetricKind,
    Sample,
    measure,
)
from greenroom.testing import wait_idle

from .support import Chat, until

pytestmark = pytest.mark.anyio


def leaves(kind: type[Any], path: str) -> list[str]:
    """The fields of *kind*, and of what is in it, by their way from the top."""
    found: list[str] = []
    for name, hint in get_type_hints(kind).items():
        inner = f"{path}.{name}"
        is_nested = dataclasses.is_dataclass(cast("object", hint))
        found += leaves(hint, inner) if is_nested else [inner]
    return found


def read(adapter: ActorAdapter) -> dict[str, float]:
    """All samples, by name and label."""
    return {
        "/".join([sample.metric.name, *sample.labels.values()]): sample.value
        for sample in measure(adapter)
    }


def test_every_statistic_is_in_the_table_once() -> None:
    sources = [metric.source for metric in METRICS]
    of_statistics = [each for each in sources if each.startswith("statistics.")]

    assert sorted(of_statistics) == sorted(leaves(AdapterStatistics, "statistics"))
    assert len(set(sources)) == len(sources)


def test_names_are_plain_and_no_two_are_one_with_the_suffix_of_a_counter() -> None:
    names = [metric.name for metric in METRICS]

    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
        assert not metric.name.endswith("_total")
        assert metric.help.endswith(".")
        assert re.fullmatch(r"1|By|s|\{[a-z]+\}", metric.unit)


def test_an_adapter_that_has_never_run_is_all_zeros() -> None:
    values = read(ActorAdapter())

    assert set(values.values()) == {0.0}
    assert {name for name in values if name.startswith("dead_letters/")} == {
        f"dead_letters/{why.value}" for why in Undelivered
    }


async def test_what_is_measured_is_what_there_is() -> None:
    chat = Chat()
    async with chat.running():
        before = read(chat.adapter)
        assert before["accepting"] == 1
        async with chat.client("lobby") as (client, _):
            await chat.adapter.emit("nobody", to="~gone")
            values = read(chat.adapter)
            assert values["connections"] == values["connections_opened"] == 1
            assert values["rooms"] == 1
            assert values["inbound_handled"] == 3
            assert values["actors"] == before["actors"] + 1
            assert values["unknown_recipients"] == 1
            assert values["dead_letters/no_recipient"] == 1
            assert values["dead_letters/overflow"] == 0
            client.close()
            await until(lambda: not chat.connections())
        await chat.adapter.drain()
        after = read(chat.adapter)
        assert (after["accepting"], after["draining"]) == (0, 1)
        assert (after["connections"], after["connections_opened"]) == (0, 1)
    stopped = read(chat.adapter)
    assert (stopped["actors"], stopped["accepting"]) == (0, 0)
    assert stopped["connections_opened"] == 1


async def test_restarts_are_counted() -> None:
    class Fails(Actor[object]):
        def receive(self, message: object) -> None:
            raise ValueError("on purpose")

    chat = Chat()
    async with chat.running():
        ref = await chat.adapter.system.start_child(ChildSpec("fails", Fails))
        assert read(chat.adapter)["actor_restarts"] == 0
        ref.tell(1)
        await wait_idle()
        await until(lambda: read(chat.adapter)["actor_restarts"] == 1)
        assert read(chat.adapter)["dead_letters/crashed"] == 1


async def test_it_may_be_another_thread_that_measures() -> None:
    chat = Chat()
    measured: list[tuple[Sample, ...]] = []
    over = threading.Event()

    def scrape() -> None:
        while not over.is_set():
            measured.append(measure(chat.adapter))

    # Take turns as often as can be.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    async with chat.running():
        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            for number in range(10):
                async with chat.client(f"room {number}"):
                    await anyio.lowlevel.checkpoint()
        finally:
            over.set()
            scraper.join()
            sys.setswitchinterval(interval)
    assert all(measured)
    # Nobody is counted twice as it goes, nor for a moment not at all.
    for way in ("inbound", "outbound"):
        numbers = [
            sample.value
            for samples in measured
            for sample in samples
            if sample.metric.source == f"statistics.{way}.accepted"
        ]
        assert len(numbers) == len(measured)
        assert numbers == sorted(numbers)


async def test_a_fault_of_ours_is_logged_and_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = ActorAdapter()

    def broken() -> AdapterStatistics:
        raise RuntimeError("broken")

    server = adapter._server  # pyright: ignore[reportPrivateUsage]  # to break it
    monkeypatch.setattr(server, "statistics", broken)
    assert measure(adapter) == ()
    (record,) = caplog.records
    assert (record.__dict__["event"], record.levelname) == ("metrics_failed", "ERROR")


def test_counters_are_what_only_grows() -> None:
    gauges = {each.name for each in METRICS if each.kind is MetricKind.GAUGE}

    assert gauges >= {"accepting", "actors", "connections", "draining", "rooms"}
    assert {"inbound_pending", "outbound_pending"} <= gauges
    assert "connections_opened" not in gauges
