"""Names of metrics by Prometheus' conventions: https://prometheus.io/docs/practices/naming/."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from services.renderer.actors import Failures
from services.renderer.child import Child
from services.renderer.pool import BrowserPool
from shared import metrics
from shared.queue import BrokerPublisher, Embedded
from shared.settings import Settings
from tests.samples.catalog import SECRET

OURS = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
BASE_UNITS = ("_seconds", "_bytes", "_ratio")
OTHER_UNITS = {"s", "ms", "us", "ns", "milliseconds", "minutes", "hours", "days", "kb", "mb", "kib", "mib", "percent"}
RESERVED = ("_count", "_sum", "_bucket", "_created", "_info")


def declared(metric: MetricWrapperBase) -> str:
    (family,) = metric.describe()
    return f"{family.name}_total" if family.type == "counter" else family.name


def faults(metric: MetricWrapperBase) -> Iterator[str]:
    """What of a metric's name, labels and sentence is against the conventions."""
    (family,), name = metric.describe(), declared(metric)
    if not re.fullmatch(r"vitrine(_[a-z]+)+", name):
        yield "is not vitrine_ and words in snake case"
    if family.type != "counter" and name.endswith("_total"):
        yield "ends as a counter and is none"
    if family.type == "histogram" and not name.endswith(BASE_UNITS):
        yield "has no base unit at its end"
    if OTHER_UNITS & set(name.split("_")):
        yield "has a unit that is no base unit"
    if name.removesuffix("_total").endswith(RESERVED):
        yield "ends in what the exposition format adds"
    if any(unit in name.removesuffix("_total").removesuffix(unit) for unit in BASE_UNITS):
        yield "has its unit in the middle"
    if any(not re.fullmatch(r"[a-z]+(_[a-z]+)*", label) or label in ("le", "quantile") for label in metric._labelnames):
        yield "has a label that is reserved, or not in snake case"
    if not family.documentation.endswith("."):
        yield "has no sentence that tells what it is"


@pytest.mark.parametrize("metric", OURS, ids=declared)
def test_a_metric_follows_the_conventions(metric: MetricWrapperBase) -> None:
    assert list(faults(metric)) == []


@pytest.mark.parametrize("metric", OURS, ids=declared)
def test_a_counter_is_declared_under_the_name_that_it_is_served_under(metric: MetricWrapperBase) -> None:
    """The library would add _total in silence, and nobody would find the name in the source."""
    assert f'"{declared(metric)}"' in inspect.getsource(metrics)


@pytest.mark.parametrize(
    ("kind", "name", "labels", "fault"),
    [
        (Counter, "renders_total", [], "vitrine_"),
        (Gauge, "vitrine_renders_total", [], "is none"),
        (Histogram, "vitrine_render_duration", [], "no base unit"),
        (Histogram, "vitrine_render_duration_ms", [], "no base unit"),
        (Counter, "vitrine_stored_mib_total", [], "no base unit"),
        (Gauge, "vitrine_renders_count", [], "exposition format"),
        (Counter, "vitrine_seconds_rendered_total", [], "in the middle"),
        (Gauge, "vitrine_age_seconds", ["targetId"], "label that is reserved"),
    ],
)
def test_what_breaks_the_conventions_is_found(
    kind: type[MetricWrapperBase], name: str, labels: list[str], fault: str
) -> None:
    assert fault in "; ".join(faults(kind(name, "A sentence.", labels, registry=CollectorRegistry())))


async def test_what_alerts_count_is_there_at_zero_before_it_happens_first() -> None:
    """Of a series that begins at 1, Prometheus sees no increase."""
    Failures()
    Child("tests.no_such").stop()
    BrowserPool(Settings(secret_key=SECRET))
    BrokerPublisher(Embedded([])).close()
    for name, labels in (
        ("vitrine_dead_letters_total", {"code": "unknown_version"}),
        ("vitrine_child_restarts_total", {"module": "no_such"}),
        ("vitrine_browser_starts_total", {"reason": "crash"}),
        ("vitrine_publish_failures_total", {"actor": "warm_up"}),
    ):
        assert REGISTRY.get_sample_value(name, labels) is not None, name
