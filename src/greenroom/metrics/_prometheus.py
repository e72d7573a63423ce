"""Prometheus: a collector that reads adapters when it is scraped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, final

from prometheus_client.core import (
    REGISTRY,
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
)
from prometheus_client.registry import Collector

from ..adapter import METRICS, ActorAdapter, Metric, MetricKind
from ._watched import Watched

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily


@final
class PrometheusCollector(Collector):
    """All `METRICS` of some adapters, for a registry of prometheus-client.

    They are called ``greenroom_`` and their name, counters end in ``_total``, and
    the label ``adapter`` is the path of the adapter.  A registry takes one such
    collector, for all adapters.

    Args:
        adapters: Those that are there from the beginning.

    Raises:
        ValueError: Two have the same path: `add` them with names.
    """

    def __init__(self, *adapters: ActorAdapter) -> None:
        self._watched = Watched(adapters)

    def add(self, adapter: ActorAdapter, name: str | None = None) -> None:
        """Collect from *adapter* as well; its label is *name*, by default its path.

        Raises:
            ValueError: Another one has that label.
        """
        self._watched.add(adapter, name)

    def remove(self, adapter: ActorAdapter) -> None:
        """Collect from *adapter* no longer."""
        self._watched.remove(adapter)

    def describe(self) -> Iterator[Family]:
        """What there will be; asked by the registry, once."""
        yield from _families().values()

    def collect(self) -> Iterator[Family]:
        """What there is; asked at each scrape, in any thread.  Never raises."""
        families = _families()
        for name, sample in self._watched.measure():
            labels = [name, *sample.labels.values()]
            families[sample.metric].add_metric(labels, sample.value)
        yield from families.values()


def register(
    adapter: ActorAdapter,
    *adapters: ActorAdapter,
    registry: CollectorRegistry = REGISTRY,
) -> PrometheusCollector:
    """Have *adapter* and *adapters* collected by *registry*.

    Where one comes later, `PrometheusCollector.add` it to what this returns.

    Raises:
        ValueError: Two adapters have the same path, or the registry has such a
            collector already.
    """
    collector = PrometheusCollector(adapter, *adapters)
    registry.register(collector)
    return collector


def _families() -> dict[Metric, Family]:
    return {metric: _family(metric) for metric in METRICS}


def _family(metric: Metric) -> Family:
    counts = metric.kind is MetricKind.COUNTER
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    labels = ["adapter"] if metric.label is None else ["adapter", metric.label]
    return kind(f"greenroom_{metric.name}", metric.help, labels=labels)
