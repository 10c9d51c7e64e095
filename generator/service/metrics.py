"""Metrics for Prometheus. Each app has its own registry, so that two apps in one process do not collide."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from generator.api.types import JobState

# From a draft on a large card to a large picture on an old one.
PICTURE_SECONDS = (0.1, 0.3, 1, 3, 10, 20, 30, 45, 60, 120, 300)


class Metrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._jobs = Counter("easel_jobs", "Jobs that have ended, by state", ["state"], registry=self._registry)
        self._pictures = Histogram(
            "easel_picture_seconds", "Time on the card", buckets=PICTURE_SECONDS, registry=self._registry
        )
        self._deaths = Counter("easel_worker_deaths", "Drawing processes that died or hung", registry=self._registry)

    def job_ended(self, state: JobState) -> None:
        self._jobs.labels(state=state.value).inc()

    def picture_drawn(self, seconds: float) -> None:
        self._pictures.observe(seconds)

    def worker_died(self) -> None:
        self._deaths.inc()

    def watch(self, *, queued: Callable[[], float], steps_per_second: Callable[[], float]) -> None:
        """Add gauges that call these functions whenever the metrics are read."""
        Gauge("easel_queued_jobs", "Jobs that wait", registry=self._registry).set_function(queued)
        rate = Gauge("easel_steps_per_second", "Measured over the last pictures", registry=self._registry)
        rate.set_function(steps_per_second)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
