"""/metrics: the view as Prometheus reads it (prometheus-client)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from monitor.state import Snapshot
from monitor.tally import Spread
from monitor.view import View

CONTENT_TYPE = CONTENT_TYPE_LATEST

METRICS: dict[str, str] = {
    "locum_up": "1 while the monitor hears the SDS",
    "locum_view_age_seconds": "since the last word of the SDS",
    "locum_sds_incarnation": "which start of the SDS this is",
    "locum_table_sequence": "number of the newest table, within that incarnation",
    "locum_server_up": "1 while the server is up or draining, by server",
    "locum_server_loadlevel": "0 to 1, by server",
    "locum_server_priority": "lower is chosen first, by server",
    "locum_service_served": "1 while the service is served, by service",
    "locum_service_holder": "1 for the server that holds the service, by service and server",
    "locum_service_secondary": "1 for the server that stands in, by service and server",
    "locum_service_epoch": "changes of holder so far, by service",
    "locum_takeovers_total": "takeovers from a silent holder since the monitor started, by service",
    "locum_moves_total": "planned moves since the monitor started, by service",
    "locum_failover_seconds": "from the last keep-alive of a silent holder until the service answered elsewhere",
    "locum_keepalive_gap_seconds": "silences of a holder, or of a holder's voters, that led to a question or a lapse",
    "locum_refused_messages_total": "messages and questions that the SDS refused, by code; repetitions are counted at a bounded rate",
    "locum_monitor_browsers": "browsers that watch",
    "locum_monitor_pushes_total": "pushes to all browsers",
}
"""Every metric and its help; docs/monitor.md lists them too."""


class Metrics:
    """A collector over the view."""

    def __init__(self, view: View, clock: Callable[[], float], browsers: Callable[[], int]) -> None:
        self.pushes = 0
        self._view = view
        self._clock = clock
        self._browsers = browsers
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The answer to a scrape."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for."""
        now, view = self._clock(), self._view
        shown = view.now_shown
        yield _gauge("locum_up", 0.0 if view.lost_since(now) is not None or view.heard_at is None else 1.0)
        yield _gauge("locum_view_age_seconds", float("nan") if view.heard_at is None else max(0.0, now - view.heard_at))
        yield _gauge("locum_sds_incarnation", shown.head.incarnation)
        yield _gauge("locum_table_sequence", shown.head.seq)
        yield from _of_servers(shown)
        yield from _of_services(shown)
        yield from self._counted()
        yield _gauge("locum_monitor_browsers", self._browsers())
        yield _counter("locum_monitor_pushes_total", (), [((), self.pushes)])

    def _counted(self) -> Iterable[Metric]:
        tally = self._view.timeline.tally
        names = sorted(self._view.now_shown.services)
        yield _counter("locum_takeovers_total", ("service",), [((name,), tally.takeovers[name]) for name in names])
        yield _counter("locum_moves_total", ("service",), [((name,), tally.moves[name]) for name in names])
        yield _counter("locum_refused_messages_total", ("code",), [((code,), n) for code, n in sorted(tally.refused.items())])
        yield _histogram("locum_failover_seconds", tally.failover_s)
        yield _histogram("locum_keepalive_gap_seconds", tally.gap_s)


def _of_servers(shown: Snapshot) -> Iterable[Metric]:
    servers = shown.servers.values()
    yield _gauges("locum_server_up", ("server",), [((s.name,), float(s.state in ("up", "draining"))) for s in servers])
    yield _gauges("locum_server_loadlevel", ("server",), [((s.name,), s.loadlevel) for s in servers if s.loadlevel is not None])
    yield _gauges("locum_server_priority", ("server",), [((s.name,), s.priority) for s in servers if s.priority is not None])


def _of_services(shown: Snapshot) -> Iterable[Metric]:
    services, both = shown.services.values(), ("service", "server")
    yield _gauges("locum_service_served", ("service",), [((s.name,), float(s.state == "serving")) for s in services])
    yield _gauges("locum_service_holder", both, [((s.name, s.holder), 1.0) for s in services if s.holder])
    yield _gauges("locum_service_secondary", both, [((s.name, s.secondary), 1.0) for s in services if s.secondary])
    yield _gauges("locum_service_epoch", ("service",), [((s.name,), s.epoch) for s in services])


Rows = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, value: float) -> Metric:
    return _gauges(name, (), [((), value)])


def _gauges(name: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    family = GaugeMetricFamily(name, METRICS[name], labels=labels)
    for values, value in rows:
        family.add_metric(list(values), value)
    return family


def _counter(name: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    family = CounterMetricFamily(name, METRICS[name], labels=labels)
    for values, value in rows:
        family.add_metric(list(values), value)
    return family


def _histogram(name: str, spread: Spread) -> Metric:
    family = HistogramMetricFamily(name, METRICS[name])
    family.add_metric([], spread.cumulated(), spread.total)
    return family
