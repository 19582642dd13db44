"""Metrics: what this process did, counted as it happens, and written as Prometheus reads it.

In: every change of every run, commits. Out: text. Never: a label whose values grow with the number of runs;
names of workflows and executor types beyond a thousand are counted together as `other`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET

from ..ports import Clock
from ..record import Change, Instant, RunPatch, RunRow, TaskPatch, TaskRow

_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_NAMES = 1000
_TASKS = 200_000  # timings of tasks under way; of more nothing is known

Labels = tuple[tuple[str, str], ...]


class Histogram:
    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class _Timing:
    __slots__ = ("executor", "ready_at", "started_at")

    def __init__(self, executor: str, ready_at: Instant | None, started_at: Instant | None) -> None:
        self.executor = executor
        self.ready_at = ready_at
        self.started_at = started_at


class Metrics:
    """`changed` is that of an Observer; `committed` is told of each batch that a store took."""

    def __init__(
        self,
        clock: Clock,
        *,
        queues: Callable[[], Mapping[str, int]] = dict,
        gauges: Mapping[str, tuple[str, Callable[[], float]]] | None = None,
    ) -> None:
        self._clock = clock
        self._queues = queues
        self._gauges = dict(gauges or {})
        self._runs: dict[tuple[str, str], int] = {}
        self._active: dict[str, int] = {}
        self._known: dict[str, str] = {}  # run id -> name, of those counted as active
        self._tasks: dict[tuple[str, str], int] = {}
        self._waited: dict[str, Histogram] = {}
        self._took: dict[str, Histogram] = {}
        self._retries: dict[str, int] = {}
        self._timings: dict[tuple[str, int], _Timing] = {}
        self._names: set[str] = set()
        self._batches = Histogram(_SIZES)
        self._commit_seconds = Histogram(_BUCKETS)
        self._failed_commits = 0
        self._taken_up = 0
        self.start_seconds = 0.0

    # In

    def changed(self, run: RunRow, changes: Sequence[Change]) -> None:
        run_id = run.run_id
        if run_id not in self._known and not run.phase.is_terminal:
            name = self._named(run.name)
            self._known[run_id] = name
            self._active[name] = self._active.get(name, 0) + 1
        for change in changes:
            kind = type(change)
            if kind is TaskPatch:
                self._patched(run_id, change)  # type: ignore[arg-type]  # the kind just asked for
            elif kind is TaskRow:
                self._made(run_id, change)  # type: ignore[arg-type]  # likewise
            elif kind is RunRow or kind is RunPatch:
                if kind is RunPatch and change.epoch is not UNSET:  # type: ignore[union-attr]
                    self._taken_up += 1
                phase = change.phase  # type: ignore[union-attr]  # likewise
                if phase is not UNSET and phase.is_terminal:
                    self._ended(run)

    def committed(self, size: int, seconds: float) -> None:
        self._batches.observe(size)
        self._commit_seconds.observe(seconds)

    def commit_failed(self) -> None:
        self._failed_commits += 1

    def _ended(self, run: RunRow) -> None:
        name = self._known.pop(run.run_id, None)
        if name is not None:
            self._active[name] -= 1
        key = (self._named(run.name), str(run.phase))
        self._runs[key] = self._runs.get(key, 0) + 1

    def _made(self, run_id: str, row: TaskRow) -> None:
        if not row.executor:
            return
        executor = self._named(row.executor)
        if row.phase.is_terminal:
            self._counted(executor, str(row.phase))
        elif len(self._timings) < _TASKS:
            self._timings[run_id, row.ordinal] = _Timing(executor, row.ready_at, row.started_at)

    def _patched(self, run_id: str, patch: TaskPatch) -> None:
        timing = self._timings.get((run_id, patch.ordinal))
        if timing is None:
            return
        if patch.retry_count is not UNSET:
            self._retries[timing.executor] = self._retries.get(timing.executor, 0) + 1
            timing.started_at = None  # the next attempt is timed on its own
        if patch.ready_at is not UNSET:
            timing.ready_at = patch.ready_at
        if patch.started_at is not UNSET:
            timing.started_at = patch.started_at
        phase = patch.phase
        if phase is UNSET or not phase.is_terminal:
            return
        del self._timings[run_id, patch.ordinal]
        executor, started, ready = timing.executor, timing.started_at, timing.ready_at
        self._counted(executor, str(phase))
        if started is not None and ready is not None and started >= ready:
            _of(self._waited, executor).observe((started - ready) / 1_000_000)
        if started is not None and isinstance(patch.finished_at, int):
            _of(self._took, executor).observe((patch.finished_at - started) / 1_000_000)

    def _counted(self, executor: str, phase: str) -> None:
        key = (executor, phase)
        self._tasks[key] = self._tasks.get(key, 0) + 1

    def _named(self, name: str) -> str:
        if name in self._names:
            return name
        if len(self._names) >= _NAMES:
            return "other"
        self._names.add(name)
        return name

    # Out

    def text(self) -> str:
        out = _Text()
        out.family("aether_runs_total", "counter", "Runs that ended, by workflow and phase.")
        for (name, phase), count in sorted(self._runs.items()):
            out.line("aether_runs_total", count, workflow=name, phase=phase)
        out.family(
            "aether_runs_active", "gauge", "Runs that this process has seen and that are not over."
        )
        for name, count in sorted(self._active.items()):
            out.line("aether_runs_active", count, workflow=name)
        out.family(
            "aether_tasks_total", "counter", "Task runs that ended, by executor type and phase."
        )
        for (executor, phase), count in sorted(self._tasks.items()):
            out.line("aether_tasks_total", count, executor=executor, phase=phase)
        out.family(
            "aether_task_retries_total", "counter", "Attempts that were granted after a failure."
        )
        for executor, count in sorted(self._retries.items()):
            out.line("aether_task_retries_total", count, executor=executor)
        self._latencies(out)
        self._queued(out)
        self._stored(out)
        for name, (about, read) in self._gauges.items():
            out.family(name, "gauge", about)
            out.line(name, read())
        return out.text()

    def _latencies(self, out: _Text) -> None:
        for name, about, found in (
            ("aether_task_schedule_to_start_seconds", "From ready to started.", self._waited),
            ("aether_task_start_to_close_seconds", "From started to over.", self._took),
        ):
            out.family(name, "histogram", about)
            for executor, histogram in sorted(found.items()):
                out.histogram(name, histogram, executor=executor)

    def _queued(self, out: _Text) -> None:
        depths = self._queues()
        oldest: dict[str, Instant] = {}
        for timing in self._timings.values():
            if timing.ready_at is not None and timing.started_at is None:
                at = oldest.get(timing.executor)
                oldest[timing.executor] = (
                    timing.ready_at if at is None else min(at, timing.ready_at)
                )
        now = self._clock.now()
        out.family(
            "aether_queue_depth", "gauge", "Task runs that wait for a worker, by executor type."
        )
        for executor, depth in sorted(depths.items()):
            out.line("aether_queue_depth", depth, executor=executor)
        out.family("aether_queue_oldest_seconds", "gauge", "How long the first of them has waited.")
        for executor, depth in sorted(depths.items()):
            waited = (
                max(0, now - oldest[executor]) / 1_000_000 if depth and executor in oldest else 0
            )
            out.line("aether_queue_oldest_seconds", waited, executor=executor)

    def _stored(self, out: _Text) -> None:
        out.family(
            "aether_commit_batch_size", "histogram", "Decisions in one transaction of the store."
        )
        out.histogram("aether_commit_batch_size", self._batches)
        out.family("aether_commit_seconds", "histogram", "How long a transaction took.")
        out.histogram("aether_commit_seconds", self._commit_seconds)
        out.family("aether_commit_failures_total", "counter", "Transactions that failed.")
        out.line("aether_commit_failures_total", self._failed_commits)
        about = "Unfinished runs that another process had begun."
        out.family("aether_runs_taken_up_total", "counter", about)
        out.line("aether_runs_taken_up_total", self._taken_up)
        out.family("aether_start_seconds", "gauge", "What it took until the engine could work.")
        out.line("aether_start_seconds", self.start_seconds)


class Both:
    """One Observer that tells two."""

    def __init__(self, *observers: Callable[[RunRow, Sequence[Change]], None]) -> None:
        self._observers = observers

    def changed(self, run: RunRow, changes: Sequence[Change]) -> None:
        for observer in self._observers:
            observer(run, changes)


class _Text:
    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, about: str) -> None:
        self._lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]

    def line(self, name: str, value: float, **labels: str) -> None:
        self._lines.append(f"{name}{_labels(labels)} {_number(value)}")

    def histogram(self, name: str, histogram: Histogram, **labels: str) -> None:
        total = 0
        for bound, count in zip((*histogram.bounds, None), histogram.counts, strict=True):
            total += count
            limit = "+Inf" if bound is None else f"{bound:g}"
            self.line(f"{name}_bucket", total, **labels, le=limit)
        self.line(f"{name}_sum", histogram.sum, **labels)
        self.line(f"{name}_count", total, **labels)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _of(found: dict[str, Histogram], name: str) -> Histogram:
    histogram = found.get(name)
    if histogram is None:
        histogram = found[name] = Histogram(_BUCKETS)
    return histogram


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"
