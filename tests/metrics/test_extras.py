"""Each exporter needs its own extra, and says so."""

from __future__ import annotations

import re
import sys

import pytest

import greenroom.metrics
from greenroom import ActorAdapter


def forget(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make imports of *package* fail as if it were not installed."""
    for name in [package, *sys.modules]:
        if name.split(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("package", "extra", "names"),
    [
        ("prometheus_client", "prometheus", ["PrometheusCollector", "register"]),
        ("opentelemetry", "opentelemetry", ["Instruments", "instrument"]),
    ],
)
def test_without_its_extra_it_says_what_to_install(
    package: str, extra: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"greenroom.metrics._{extra}", raising=False)
    forget(monkeypatch, package)

    for name in names:
        remedy = re.escape(f"{name} needs an extra: pip install 'greenroom[{extra}]'")
        with pytest.raises(ImportError, match=remedy):
            getattr(greenroom.metrics, name)
    # The table needs neither.
    assert greenroom.metrics.measure(ActorAdapter())


def test_all_names_are_there() -> None:
    for name in greenroom.metrics.__all__:
        assert getattr(greenroom.metrics, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        greenroom.metrics.nothing  # noqa: B018 - to look it up
