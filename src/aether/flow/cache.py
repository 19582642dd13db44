"""Functions that are parked here: a hint that spares a replay, bounded in bytes."""

from __future__ import annotations

from ..ports import Fence
from .run import FlowRun

_EACH = 8_000  # bytes of a loop, a task, a coroutine and its futures


class ParkedRuns:
    """The oldest are dropped first. One is good for the very next delivery in the same epoch: then
    nobody else has had the run meanwhile, and the record stands where its function stands."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._used = 0
        self._runs: dict[str, FlowRun] = {}

    def put(self, run: FlowRun) -> None:
        self.remove(run.run_id)
        self._runs[run.run_id] = run
        self._used += _EACH + run.weight
        while self._used > self._memory and self._runs:
            self.remove(next(iter(self._runs)))

    def take(self, run_id: str, fence: Fence) -> FlowRun | None:
        """The run's function if it fits this delivery; it is dropped if it does not."""
        run = self._pop(run_id)
        if run is None or run.detached:
            return None
        if run.fence.epoch == fence.epoch and run.fence.delivery + 1 == fence.delivery:
            return run
        run.drop()
        run.release()
        return None

    def look(self, run_id: str) -> FlowRun | None:
        return self._runs.get(run_id)

    def remove(self, run_id: str) -> None:
        run = self._pop(run_id)
        if run is not None:
            run.drop()
            run.release()

    def clear(self) -> None:
        for run_id in list(self._runs):
            self.remove(run_id)

    def __len__(self) -> int:
        return len(self._runs)

    def _pop(self, run_id: str) -> FlowRun | None:
        run = self._runs.pop(run_id, None)
        if run is not None:
            self._used -= _EACH + run.weight
        return run
