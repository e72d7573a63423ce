"""OpenTelemetry: observable instruments that read adapters when asked.

An instrument is asked by itself, all of them in turn, in a thread of the SDK's.
So that they tell of one moment, and the adapters are read once, what was read
stands until an instrument asks for the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from typing import Any, TypeAlias, final

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

from ..adapter import METRICS, ActorAdapter, Metric, MetricKind
from ._watched import Watched

Callback: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]


@final
class Instruments:
    """All `METRICS` of some adapters, as instruments of a meter.

    They are called ``greenroom.`` and their name; the attribute ``adapter`` is the
    path of the adapter.  A meter takes one such object, for all adapters.

    Args:
        meter: Makes the instruments.
        adapters: Those that are there from the beginning.

    Raises:
        ValueError: Two have the same path: `add` them with names.
    """

    def __init__(self, meter: Meter, *adapters: ActorAdapter) -> None:
        self._watched = Watched(adapters)
        self._found: dict[Metric, list[Observation]] = {}
        for metric in METRICS:
            counts = metric.kind is MetricKind.COUNTER
            create: Callable[..., Any] = (
                meter.create_observable_counter
                if counts
                else meter.create_observable_gauge
            )
            create(
                f"greenroom.{metric.name}",
                callbacks=[partial(self._observe, metric)],
                unit=metric.unit,
                description=metric.help,
            )

    def add(self, adapter: ActorAdapter, name: str | None = None) -> None:
        """Observe *adapter* as well, as *name*, by default its path.

        Raises:
            ValueError: Another one is called that.
        """
        self._watched.add(adapter, name)

    def remove(self, adapter: ActorAdapter) -> None:
        """Observe *adapter* no longer."""
        self._watched.remove(adapter)

    def _observe(self, metric: Metric, _: CallbackOptions) -> Iterable[Observation]:
        # Two threads at once may read twice, and no worse.
        found = self._found.pop(metric, None)
        if found is None:
            self._found = read = self._read()
            found = read.pop(metric)
        return found

    def _read(self) -> dict[Metric, list[Observation]]:
        observed: dict[Metric, list[Observation]] = {metric: [] for metric in METRICS}
        for name, sample in self._watched.measure():
            attributes = {"adapter": name, **sample.labels}
            observed[sample.metric].append(Observation(sample.value, attributes))
        return observed


def instrument(
    adapter: ActorAdapter, *adapters: ActorAdapter, meter: Meter | None = None
) -> Instruments:
    """Have *adapter* and *adapters* observed by *meter*.

    By default by that of the global provider.  Where an adapter comes later,
    `Instruments.add` it to what this returns.

    Raises:
        ValueError: Two adapters have the same path.
    """
    if meter is None:
        meter = get_meter("greenroom", version("greenroom"))
    return Instruments(meter, adapter, *adapters)
