"""Metrics for Prometheus. Each app has its own registry, so that two apps in one process do not collide."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from generator.api.types import Health, JobState, WorkerStatus

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
        self._deaths = Counter(
            "easel_worker_deaths", "Drawing processes that died or hung", ["worker"], registry=self._registry
        )

    def job_ended(self, state: JobState) -> None:
        self._jobs.labels(state=state.value).inc()

    def picture_drawn(self, seconds: float) -> None:
        self._pictures.observe(seconds)

    def worker_died(self, name: str) -> None:
        self._deaths.labels(worker=name).inc()

    def watch(self, health: Callable[[], Health]) -> None:
        """Add gauges that ask for the health whenever the metrics are read."""
        Gauge("easel_queued_jobs", "Jobs that wait", registry=self._registry).set_function(lambda: health().queued)
        self._registry.register(_Workers(health))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Workers(Collector):
    """What each worker does now."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("easel_worker_up", "1 if the worker draws, or would at once", labels=["worker"])
        steps = GaugeMetricFamily("easel_steps_per_second", "Measured over the last pictures", labels=["worker"])
        jobs = GaugeMetricFamily("easel_running_jobs", "Jobs that are drawn now", labels=["worker"])
        memory = GaugeMetricFamily("easel_memory_used_bytes", "Of its card, by all programs", labels=["worker"])
        for worker in self._health().workers:
            up.add_metric([worker.name], worker.state in (WorkerStatus.READY, WorkerStatus.IDLE))
            steps.add_metric([worker.name], worker.steps_per_second or 0)
            jobs.add_metric([worker.name], len(worker.jobs))
            if worker.memory is not None:
                memory.add_metric([worker.name], worker.memory.used_bytes)
        yield from (up, steps, jobs, memory)
