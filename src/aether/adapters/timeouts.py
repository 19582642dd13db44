"""A heap of deadlines over a clock.

In: an instant for each run. Out: run ids, when their instants have come. Never: a look at the store.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from heapq import heapify, heappop, heappush

from ..errors import InvalidState, Problem
from ..ports import Clock, ErrorSink, Fault, Handle
from ..record import Instant

BATCH = 1024
"""Runs called before the loop gets its turn again."""


class HeapTimeoutWatcher:
    """`_due` is the truth, the heap is an index over it that may hold entries which are no longer true.

    An entry is stale when `_due` says another instant, or none, for its run; it is dropped when it
    comes up, or when stale entries are the majority. One call of the clock is armed, for an instant not
    later than the earliest. A failing callback is told to `errors`; without a sink it is raised, after
    the others were called, to whoever runs the clock's calls.
    """

    def __init__(self, clock: Clock, errors: ErrorSink | None = None) -> None:
        self._clock = clock
        self._errors = errors
        self._due: dict[str, Instant] = {}
        self._heap: list[tuple[Instant, str]] = []
        self._on_due: Callable[[str], None] | None = None
        self._armed: Handle | None = None
        self._armed_at: Instant = 0

    def start(self, on_due: Callable[[str], None]) -> None:
        if self._on_due is not None:
            raise InvalidState(
                Problem("already-started", "this timeout watcher runs already", fix="stop it first")
            )
        self._on_due = on_due
        self._arm()

    def set(self, run_id: str, due_at: Instant | None) -> None:
        due = self._due
        if due.get(run_id) == due_at:
            return
        if due_at is None:
            del due[run_id]
            if len(self._heap) > 2 * len(due) + 64:
                self._compact()
            return
        due[run_id] = due_at
        heap = self._heap
        heappush(heap, (due_at, run_id))
        if self._armed is None or due_at < self._armed_at:
            self._arm()
        if len(heap) > 2 * len(due) + 64:
            self._compact()

    def stop(self) -> None:
        self._on_due = None
        self._due.clear()
        self._heap.clear()
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def __len__(self) -> int:
        """How many runs are watched."""
        return len(self._due)

    def _compact(self) -> None:
        self._heap = [(due_at, run_id) for run_id, due_at in self._due.items()]
        heapify(self._heap)

    def _arm(self) -> None:
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        if self._on_due is None or not heap:
            return
        if self._armed is not None:
            if self._armed_at <= heap[0][0]:
                return
            self._armed.cancel()
        self._armed_at = heap[0][0]
        self._armed = self._clock.call_at(self._armed_at, self._wake)

    def _wake(self) -> None:
        self._armed = None
        failures: list[Exception] = []
        now = self._clock.now()
        for _ in range(BATCH):
            if self._on_due is None or not self._heap or self._heap[0][0] > now:
                break
            due_at, run_id = heappop(self._heap)
            if self._due.get(run_id) != due_at:
                continue
            del self._due[run_id]
            try:
                self._on_due(run_id)
            except Exception as exc:  # noqa: BLE001  it must stop no other; reported below
                failures.append(exc)
                self._report(run_id, exc)
        self._arm()
        if failures and self._errors is None:
            raise failures[0] if len(failures) == 1 else ExceptionGroup("timeouts", failures)

    def _report(self, run_id: str, error: Exception) -> None:
        if self._errors is None:
            return
        fault = Fault(
            operation="look at a run that is due",
            what=f"the callback failed with {type(error).__name__}: {error}",
            next="the other runs are looked at; this one when its next instant is set",
            run_id=run_id,
        )
        with suppress(Exception):  # whatever a sink raises is dropped
            self._errors.on_error(fault, error)
