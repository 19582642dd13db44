"""Runs of the tiers that keep no log: what of them is on disk must do.

In: commits without a log record. Out: breaches. Never: a claim about what is in memory only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...ports import Commit
from ...record import ACTION_LOG, MEMORY, SNAPSHOT, RunRow, RunRows
from .store import at_once

if TYPE_CHECKING:
    from .world import World

_GROWING = ("attempt", "retry_count", "begun")


class LooseRuns:
    """Runs of tier `snapshot` by their newest snapshot, and the ids of those of tier `memory`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.runs: dict[str, RunRows] = {}
        self.volatile: dict[str, None] = {}
        self.begun: dict[str, None] = {}
        self.deleted: dict[str, None] = {}
        self.acknowledged: dict[str, None] = {}

    def concerns(self, commit: Commit) -> bool:
        if isinstance(commit.run, RunRow):
            return commit.run.tier != ACTION_LOG
        return commit.run_id in self.runs

    def knows(self, run_id: str) -> bool:
        """Whether it is a run without a log, or a child of one."""
        return run_id in self.runs or run_id.partition(":")[0] in self.begun

    def begins(self, run_id: str, tier: str) -> None:
        if tier:
            self.begun[run_id] = None
        if tier == MEMORY:
            self.volatile[run_id] = None

    def must_exist(self, run_id: str, tier: str) -> None:
        """A submit was acknowledged."""
        if tier == SNAPSHOT:
            self.acknowledged[run_id] = None
            if run_id not in self.runs and run_id not in self.deleted:
                self.world.breach(f"{run_id} was acknowledged, and has no snapshot")

    def committed(self, commit: Commit) -> None:
        run_id = commit.run_id
        rows = at_once(self.world.server.inner.load([run_id]))[0]
        assert rows is not None, run_id
        self.world.saw("snapshot")
        before = self.runs.get(run_id)
        if rows.run.tier == MEMORY:
            self.world.breach(f"{run_id} of tier memory was written down")
        if before is not None:
            self._later(run_id, before, rows)
        self.runs[run_id] = rows

    def _later(self, run_id: str, before: RunRows, rows: RunRows) -> None:
        if rows.run.seq < before.run.seq or rows.run.epoch < before.run.epoch:
            self.world.breach(f"{run_id}: a snapshot went back to {rows.run.seq}")
        if before.run.phase.is_terminal and rows.run.phase is not before.run.phase:
            self.world.breach(f"{run_id} was {before.run.phase}, and is {rows.run.phase}")
        for ordinal, row in before.tasks.items():
            later = rows.tasks.get(ordinal)
            if later is None:
                self.world.breach(f"{run_id}.{ordinal} is gone from its snapshot")
                continue
            if row.phase.is_terminal and (later.phase, later.outputs) != (row.phase, row.outputs):
                self.world.breach(f"{run_id}.{ordinal} was {row.phase}, and is {later.phase}")
            for name in _GROWING:
                if getattr(later, name) < getattr(row, name):
                    self.world.breach(f"{run_id}.{ordinal}: {name} went back in a snapshot")

    def forget(self, run_id: str) -> None:
        if self.runs.pop(run_id, None) is not None:
            self.deleted[run_id] = None

    def under_way(self) -> dict[str, RunRows]:
        return {r: rows for r, rows in self.runs.items() if not rows.run.phase.is_terminal}

    def unfinished(self) -> Iterator[str]:
        for run_id, rows in self.under_way().items():
            yield f"{run_id} of tier snapshot never ended: {rows.run}"
