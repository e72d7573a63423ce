"""Metrics: what adapters tell of themselves, for Prometheus and OpenTelemetry.

    from greenroom.metrics import register      # greenroom[prometheus]
    register(adapter)

    from greenroom.metrics import instrument    # greenroom[opentelemetry]
    instrument(adapter)

Both are made from `METRICS`, and so is whatever you make of `measure` yourself.
Nothing is counted for their sake: a scrape reads what is there anyhow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..adapter import METRICS, Metric, MetricKind, Sample, measure

if TYPE_CHECKING:
    from ._opentelemetry import Instruments, instrument
    from ._prometheus import PrometheusCollector, register

__all__ = [
    "METRICS",
    "Instruments",
    "Metric",
    "MetricKind",
    "PrometheusCollector",
    "Sample",
    "instrument",
    "measure",
    "register",
]

# Which extra a name needs; its module is called the same.
_EXTRAS = {
    "Instruments": "opentelemetry",
    "PrometheusCollector": "prometheus",
    "instrument": "opentelemetry",
    "register": "prometheus",
}


def __getattr__(name: str) -> object:
    extra = _EXTRAS.get(name)
    if extra is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"._{extra}", __name__)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{__name__}.{name} needs an extra: pip install 'greenroom[{extra}]'"
        ) from error
    return getattr(module, name)
