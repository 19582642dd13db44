"""Whether code fits what was recorded with other code: asked before it is deployed.

In: workflow functions and the rows of runs. Out: where they part. Never: a step that is executed, a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..adapters.clock import SystemClock
from ..adapters.threads import ThreadPool
from ..errors import NotFound, Problem
from ..flow import Misfit, Runtime, WorkflowDefinition
from ..ports import Fence
from ..record import Fact, RunRows, TaskRow


class _Nowhere:
    """A journal for functions that only read."""

    def append(self, run_id: str, fence: Fence, after: int, facts: Sequence[Fact]) -> Any:
        raise AssertionError("a function that is replayed records nothing")

    async def answers(self, run_id: str, fence: Fence, after: int) -> Sequence[TaskRow]:
        raise AssertionError("a function that is replayed waits for nothing")

    async def rows(self, run_id: str) -> Sequence[TaskRow]:
        raise NotFound(Problem("run-not-found", f"there is no run '{run_id}'"))


class Fitting:
    """`misfit` is None where the code goes on from the record as if it had always been there."""

    def __init__(self, definitions: Iterable[WorkflowDefinition]) -> None:
        self._definitions = {each.name: each for each in definitions}
        self._pools = ThreadPool(8, "aether-steps"), ThreadPool(64, "aether-replays")
        self._runtime = Runtime(
            journal=_Nowhere(),
            clock=SystemClock(),
            offload=self._pools[0],
            threads=self._pools[1],
        )
        for definition in self._definitions.values():
            self._runtime.register(definition)

    def __enter__(self) -> Fitting:
        return self

    def __exit__(self, *exc: object) -> None:
        for pool in self._pools:
            pool.close()

    async def misfit(self, name: str, rows: RunRows) -> Misfit | None:
        """Raises KeyError for a workflow that was not given."""
        return await self._runtime.misfit_of(
            self._definitions[name], rows.run.run_id, list(rows.tasks.values())
        )
