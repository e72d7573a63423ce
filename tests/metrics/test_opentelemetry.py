"""Metrics for OpenTelemetry, read by its SDK."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import greenroom.metrics._watched
from greenroom import ActorAdapter
from greenroom.adapter import METRICS, MetricKind, Sample, measure
from greenroom.metrics import Instruments, instrument
from greenroom.testing import connect

pytestmark = pytest.mark.anyio


def made() -> tuple[InMemoryMetricReader, Meter]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    return reader, provider.get_meter("test")


def collect(reader: InMemoryMetricReader) -> dict[str, Any]:
    """What was collected, by name."""
    data: Any = reader.get_metrics_data()
    return {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def values(metric: Any) -> dict[tuple[str, ...], float]:
    """The points of *metric*, by its attributes."""
    points = metric.data.data_points
    return {tuple(each.attributes.values()): each.value for each in points}


async def test_what_is_collected_is_what_is_there() -> None:
    reader, meter = made()
    adapter = ActorAdapter()
    instrument(adapter, meter=meter)
    assert values(collect(reader)["greenroom.connections"]) == {("/ws",): 0.0}
    async with adapter.running(), connect(adapter):
        await adapter.emit("nobody", to="~gone")
        found = collect(reader)
        assert values(found["greenroom.connections"]) == {("/ws",): 1.0}
        letters = values(found["greenroom.dead_letters"])
        assert letters["/ws", "no_recipient"] == 1.0
    found = collect(reader)
    assert values(found["greenroom.connections"]) == {("/ws",): 0.0}
    assert values(found["greenroom.connections_opened"]) == {("/ws",): 1.0}


def test_every_metric_is_an_instrument() -> None:
    reader, meter = made()
    instrument(ActorAdapter(), meter=meter)

    found = collect(reader)
    assert list(found) == [f"greenroom.{metric.name}" for metric in METRICS]
    for metric in METRICS:
        made_of = found[f"greenroom.{metric.name}"]
        assert (made_of.description, made_of.unit) == (metric.help, metric.unit)
        counts = metric.kind is MetricKind.COUNTER
        assert getattr(made_of.data, "is_monotonic", False) == counts


def test_several_adapters_are_told_apart() -> None:
    reader, meter = made()
    instruments = instrument(ActorAdapter("/a"), ActorAdapter("/b"), meter=meter)
    other = ActorAdapter("/a")
    instruments.add(other, name="other")
    found = values(collect(reader)["greenroom.rooms"])
    assert found == {("/a",): 0.0, ("/b",): 0.0, ("other",): 0.0}

    instruments.remove(other)
    assert len(values(collect(reader)["greenroom.rooms"])) == 2


def test_an_adapter_is_read_once_for_all_its_instruments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, meter = made()
    instrument(ActorAdapter(), meter=meter)
    measured: list[ActorAdapter] = []

    def counted(adapter: ActorAdapter) -> tuple[Sample, ...]:
        measured.append(adapter)
        return measure(adapter)

    monkeypatch.setattr(greenroom.metrics._watched, "measure", counted)
    collect(reader)
    assert len(measured) == 1
    collect(reader)
    assert len(measured) == 2


def test_two_of_one_name_are_refused() -> None:
    _, meter = made()
    with pytest.raises(ValueError, match="'/ws'"):
        Instruments(meter, ActorAdapter(), ActorAdapter())


def test_without_a_meter_it_is_that_of_the_global_provider() -> None:
    # Where none was set, nothing is collected, and nothing fails.
    assert isinstance(instrument(ActorAdapter()), Instruments)
