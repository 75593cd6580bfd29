"""What is counted of a service, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nmt.server.batching import BatchTold
from nmt.server.registry import Usage

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LINES: Final = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The numbers of a service.

    Args:
        waiting: Tells how many lines wait.
        requests: Tells how many requests wait for translations.
        usage: Tells which models are open.
        documents: Tells of each document that is being translated how many of its lines are left.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        requests: Callable[[], int],
        usage: Callable[[], Usage],
        documents: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._answers = Counter("nmt_requests", "Requests that were answered.", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "nmt_request_seconds",
            "From headers to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram("nmt_batch_lines", "Lines of a batch.", buckets=_LINES, registry=registry)
        Gauge("nmt_lines_waiting", "Lines that wait.", registry=registry).set_function(waiting)
        Gauge("nmt_requests_waiting", "Requests that wait for translations.", registry=registry).set_function(requests)
        left = Gauge("nmt_document_lines_left", "Lines that are left of documents.", registry=registry)
        left.set_function(lambda: sum(documents()))
        Gauge("nmt_documents", "Documents that are being translated.", registry=registry).set_function(
            lambda: len(documents())
        )
        registry.register(_Models(usage))
        self._children = lru_cache(maxsize=1000)(
            lambda route, status: (self._answers.labels(route, status), self._seconds.labels(route))
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        count, times = self._children(route, status)
        count.inc()
        times.observe(seconds)

    def batch(self, told: BatchTold) -> None:
        """Count a batch, in any thread."""
        self._batches.observe(told.lines)

    @contextmanager
    def served_at(self, address: tuple[str, int] | None) -> Iterator[None]:
        """Serve them by themselves, at an address of their own, if there is one.

        Raises:
            OSError: The address is in use, or not of this machine.
        """
        if address is None:
            yield
            return
        host, port = address
        server, thread = start_http_server(port, host, self._registry)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def page(self) -> bytes:
        """Return all of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Models(Collector):
    """Which models are open, when asked."""

    def __init__(self, usage: Callable[[], Usage]) -> None:
        self._usage = usage

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Tell it."""
        usage = self._usage()
        for name, what, value in (
            ("nmt_models", "Models that are served.", usage.models),
            ("nmt_models_open", "Models that are open.", usage.open),
            ("nmt_models_open_bytes", "Bytes that they take.", usage.bytes),
        ):
            yield GaugeMetricFamily(name, what, value=value)
