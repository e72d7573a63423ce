"""Metrics for prometheus-client."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, exposition, parser
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser

from greenroom import ActorAdapter
from greenroom.adapter import METRICS, MetricKind
from greenroom.metrics import PrometheusCollector, register
from greenroom.testing import connect

pytestmark = pytest.mark.anyio

# Without types of their own.
WRITE = cast("Any", exposition).generate_latest
READ = cast("Any", parser).text_string_to_metric_families
WRITE_OPENMETRICS = cast("Any", openmetrics).generate_latest
READ_OPENMETRICS = cast("Any", openmetrics_parser).text_string_to_metric_families


def value(
    registry: CollectorRegistry, name: str, adapter: str = "/ws", **labels: str
) -> float | None:
    return registry.get_sample_value(
        f"greenroom_{name}", {"adapter": adapter, **labels}
    )


async def test_a_scrape_says_what_is_there() -> None:
    registry = CollectorRegistry()
    adapter = ActorAdapter()
    register(adapter, registry=registry)
    assert value(registry, "connections_opened_total") == 0.0
    async with adapter.running(), connect(adapter):
        assert value(registry, "connections") == 1.0
        assert value(registry, "connections_opened_total") == 1.0
        assert value(registry, "accepting") == 1.0
        await adapter.emit("nobody", to="~gone")
        letters = value(registry, "dead_letters_total", reason="no_recipient")
        assert letters == 1.0
    assert value(registry, "connections") == 0.0
    assert value(registry, "connections_opened_total") == 1.0


async def test_several_adapters_are_told_apart() -> None:
    registry = CollectorRegistry()
    chat, feed = ActorAdapter("/chat"), ActorAdapter("/feed")
    collector = register(chat, feed, registry=registry)
    other = ActorAdapter("/chat")
    collector.add(other, name="the other")
    async with chat.running(), other.running(), connect(other):
        assert value(registry, "connections", "/chat") == 0.0
        assert value(registry, "connections", "/feed") == 0.0
        assert value(registry, "connections", "the other") == 1.0
        collector.remove(other)
        collector.remove(other)
        assert value(registry, "connections", "the other") is None
        assert value(registry, "connections", "/chat") == 0.0


def test_what_is_written_can_be_read() -> None:
    registry = CollectorRegistry()
    register(ActorAdapter("/a"), ActorAdapter('/"quoted"'), registry=registry)

    plain = list(READ(WRITE(registry).decode()))
    families = list(READ_OPENMETRICS(WRITE_OPENMETRICS(registry).decode()))

    assert len(plain) == len(families) == len(METRICS)
    for family, metric in zip(families, METRICS, strict=True):
        assert family.name == f"greenroom_{metric.name}"
        assert family.documentation == metric.help
        assert family.type == metric.kind.value
        assert {each.labels["adapter"] for each in family.samples} == {
            "/a",
            '/"quoted"',
        }
        counts = metric.kind is MetricKind.COUNTER
        assert {each.name for each in family.samples} == {
            family.name + ("_total" if counts else "")
        }


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'/ws'"):
        PrometheusCollector(ActorAdapter(), ActorAdapter())
    registry = CollectorRegistry()
    register(ActorAdapter(), registry=registry)
    with pytest.raises(ValueError, match=r"[Dd]uplicated"):
        register(ActorAdapter(), registry=registry)


def test_what_is_no_adapter_is_refused() -> None:
    with pytest.raises(TypeError, match="adapter must be an ActorAdapter, got 'x'"):
        PrometheusCollector(cast("ActorAdapter", "x"))


def test_a_fault_of_ours_leaves_the_other_collectors_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    adapter, sound = ActorAdapter(), ActorAdapter("/sound")
    register(adapter, sound, registry=registry)

    def broken() -> None:
        raise RuntimeError("broken")

    server = adapter._server  # pyright: ignore[reportPrivateUsage]  # to break it
    monkeypatch.setattr(server, "statistics", broken)
    assert value(registry, "connections") is None
    assert value(registry, "connections", "/sound") == 0.0
    assert "the metrics could not be read" in caplog.text
