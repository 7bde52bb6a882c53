"""Counts and measures the calls, waits and fleets of clients for Prometheus.

`instrument(client)` adds a client to the metrics of a registry. Several clients of one registry are added up.
"""

from __future__ import annotations

import weakref

from typing import TYPE_CHECKING, Any, cast

from .._client import Client
from .._extras import Needing
from .._stats import stats_of
from ._instrumented import context_of


with Needing("prometheus"):
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.registry import Collector

    from .._context import Context
    from .._events import Event
    from .._stats import ClientStats

_CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAIT_SECONDS = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 900)

# One set of metrics a registry, which refuses a name that it has.
_METRICS: weakref.WeakKeyDictionary[Any, _Metrics] = weakref.WeakKeyDictionary()


def instrument(client: Client, registry: CollectorRegistry = REGISTRY) -> None:
    """Count and measure *client*, and all its views, in *registry*. A second time changes nothing.

    Registry and client may go away before each other. A scrape may come from another thread.

    Raises:
        TypeError: *client* is no `Client`, or *registry* no `CollectorRegistry`. Nothing was registered.
    """
    context = context_of(client)
    if not isinstance(registry, CollectorRegistry):
        raise TypeError(f"registry must be a CollectorRegistry, not {registry!r}")
    if registry not in _METRICS:
        _METRICS[registry] = _Metrics(registry)
    _METRICS[registry].add(context)


def uninstrument(client: Client, registry: CollectorRegistry = REGISTRY) -> None:
    """Count and measure *client* in *registry* no more."""
    context = context_of(client)
    if registry in _METRICS:
        _METRICS[registry].remove(context)


class _Metrics:
    """The metrics of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by = ("method", "template", "status")
        self._calls = Counter("vpsorg_calls", "Calls that have ended.", (*by, "outcome"), registry=registry)
        self._seconds = Histogram(
            "vpsorg_call_duration_seconds", "Duration of calls.", by, buckets=_CALL_SECONDS, registry=registry
        )
        self._attempts = Counter("vpsorg_call_retries", "Attempts after the first.", by[:2], registry=registry)
        self._queued = Histogram(
            "vpsorg_call_queued_seconds", "Time waited for a turn.", buckets=_CALL_SECONDS, registry=registry
        )
        self._pauses = Counter("vpsorg_call_pauses", "Pauses that the API asked for.", ("whose",), registry=registry)
        self._polls = Counter("vpsorg_polls", "Polls that have ended.", ("failed",), registry=registry)
        self._waits = Histogram(
            "vpsorg_wait_duration_seconds", "Duration of waits.", ("outcome",), buckets=_WAIT_SECONDS, registry=registry
        )
        self._waits_ended = Counter("vpsorg_waits_ended", "Waits that have ended.", ("outcome",), registry=registry)
        self._items = Counter(
            "vpsorg_fleet_items", "Items of fleets that have ended.", ("action", "state"), registry=registry
        )
        # The contexts of the clients, by their ids. Copied by each scrape, which another thread makes.
        self._clients: dict[int, weakref.ref[Context]] = {}
        registry.register(cast("Collector", _Gauges(self._clients)))

    def add(self, context: Context) -> None:
        if id(context) not in self._clients:
            self._clients[id(context)] = weakref.ref(context, self._forgetting(id(context)))
            context.events.add(self.hear)

    def _forgetting(self, key: int) -> Callable[[object], object]:
        # Not a closure over the client, which would keep it alive.
        return lambda _: self._clients.pop(key, None)

    def remove(self, context: Context) -> None:
        self._clients.pop(id(context), None)
        context.events.remove(self.hear)

    def hear(self, event: Event) -> None:
        fields = event.fields
        match event.name:
            case "call.ended":
                status = "" if fields["status"] is None else str(fields["status"])
                by = fields["method"], fields["template"], status
                self._calls.labels(*by, fields["outcome"]).inc()
                self._seconds.labels(*by).observe(fields["seconds"])
                self._queued.observe(fields["queued"])
            case "call.attempt":
                self._attempts.labels(fields["method"], fields["template"]).inc()
            case "call.paused":
                self._pauses.labels(fields["whose"]).inc()
            case "poll.ended":
                self._polls.labels(str(fields["failed"]).lower()).inc()
            case "wait.ended":
                self._waits_ended.labels(fields["outcome"]).inc()
                self._waits.labels(fields["outcome"]).observe(fields["seconds"])
            case "fleet.item":
                self._items.labels(fields["action"], fields["state"]).inc()


class _Gauges:
    """The state of all clients of a registry at the moment of a scrape, by `client.stats()`."""

    def __init__(self, clients: Mapping[int, weakref.ref[Context]]) -> None:
        self._clients = clients

    def describe(self) -> Iterable[Metric]:
        """Return what `collect` does, without asking the clients: no client has been added when it is registered."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        stats = [stats_of(context) for ref in tuple(self._clients.values()) if (context := ref()) is not None]
        for name, what in _SUMS.items():
            yield GaugeMetricFamily(f"vpsorg_{name}", what, value=_total(stats, name))
        paused = GaugeMetricFamily("vpsorg_paused_seconds", "How long calls still pause, by kind.", labels=("calls",))
        for kind in sorted({kind for one in stats for kind in one.paused_for}):
            paused.add_metric((kind,), max(one.paused_for.get(kind, 0.0) for one in stats))
        yield paused
        rate = GaugeMetricFamily("vpsorg_rate", "Calls a second that the API takes, where that is known.")
        if known := [one.rate for one in stats if one.rate is not None]:
            rate.add_metric((), sum(known))
        yield rate


_SUMS = {
    "in_flight": "Calls on the wire.",
    "queued": "Calls that wait for their turn.",
    "retry_budget": "Retries that are left.",
    "waits": "Waits that go on.",
    "watches": "Watches.",
}


def _total(stats: Sequence[ClientStats], name: str) -> float:
    return float(sum(getattr(one, name) for one in stats))
