"""What a run of tier `memory` or `snapshot` is beside its rows: what of it the disk does not know yet.

In: decisions, as commits. Out: one commit that says the same as all of them. Never: I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy

from msgspec import UNSET

from ..ports import Commit
from ..record import (
    HookPatch,
    HookRow,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    TaskPatch,
    TaskRow,
    Token,
    patch_hook,
    patch_run,
    patch_task,
)

MOST = 100
"""Changes after which a run is written down."""


class Unsaved:
    """Changes merged: the last word on each member of each row. To write it twice does no harm."""

    __slots__ = ("hooks", "run", "size", "tasks")

    def __init__(self) -> None:
        self.run = RunPatch()
        self.tasks: dict[int, TaskRow | TaskPatch] = {}
        self.hooks: dict[int, HookRow | HookPatch] = {}
        self.size = 0

    def __bool__(self) -> bool:
        return self.size > 0

    def add(
        self,
        run: RunRow | RunPatch,
        tasks: Sequence[TaskRow | TaskPatch],
        hooks: Sequence[HookRow | HookPatch],
        size: int = 0,
    ) -> None:
        """Rows are copied before they are merged: a copy of this one shares them."""
        assert isinstance(run, RunPatch), "a run that is held exists already"
        patch_run(self.run, run)
        for task in tasks:
            earlier = self.tasks.get(task.ordinal)
            merged = copy(task)
            if earlier is not None and isinstance(task, TaskPatch):
                merged = copy(earlier)
                patch_task(merged, task)
            self.tasks[task.ordinal] = merged
        for hook in hooks:
            known = self.hooks.get(hook.number)
            whole = copy(hook)
            if known is not None and isinstance(hook, HookPatch):
                whole = copy(known)
                patch_hook(whole, hook)
            self.hooks[hook.number] = whole
        self.size += size or 1 + len(tasks) + len(hooks)

    def followed_by(self, later: Unsaved) -> Unsaved:
        """Both as one, with neither of them changed."""
        both = Unsaved()
        both.run = copy(self.run)
        both.tasks = dict(self.tasks)
        both.hooks = dict(self.hooks)
        both.size = self.size
        if later:
            tasks, hooks = list(later.tasks.values()), list(later.hooks.values())
            both.add(later.run, tasks, hooks, later.size)
        return both

    def as_commit(self, run_id: str, expected: Token) -> Commit:
        return Commit(
            run_id=run_id,
            expected=expected,
            run=self.run,
            tasks=list(self.tasks.values()),
            hooks=list(self.hooks.values()),
        )


class Held:
    """A run whose newest rows are in memory."""

    __slots__ = (
        "claimed",
        "deciding",
        "doubtful",
        "held_by",
        "open_hooks",
        "over",
        "refused",
        "run_id",
        "saved",
        "token",
        "unsaved",
        "unsettled",
        "writing",
    )

    def __init__(
        self,
        run_id: str,
        saved: Token | None,
        over: bool,
        hooks: Sequence[HookRow | HookPatch],
    ) -> None:
        self.run_id = run_id
        self.saved = saved  # its token on disk; None: it never gets there
        self.token: Token = 0  # its token in memory
        self.unsaved = Unsaved()
        self.writing: asyncio.Future[None] | None = None  # done when the write in flight is
        self.deciding = False  # and brings a decision that memory does not have yet
        self.doubtful = False  # the last write may have happened
        self.unsettled: Commit | None = None  # and so may this decision, which memory does not have
        self.claimed = 0  # the session that has claimed it, until its next decision
        self.held_by = 0  # the session for which it is held
        self.refused = ""  # why the disk will never take what is unsaved
        self.over = over
        self.open_hooks = open_after(frozenset(), hooks)

    @classmethod
    def of(cls, rows: RunRows, saved: Token | None) -> Held:
        hooks = list(rows.hooks.values())
        held = cls(rows.run.run_id, saved, rows.run.phase.is_terminal, hooks)
        held.claimed, held.held_by = rows.run.claimed, rows.run.held_by
        return held

    def took(self, commit: Commit, token: Token) -> None:
        """Memory has `commit` now."""
        self.token = token
        if commit.run.owner is not UNSET:
            self.claimed, self.held_by = 0, commit.run.owner
        self.over = self.over_after(commit)
        self.open_hooks = open_after(self.open_hooks, commit.hooks)

    def over_after(self, commit: Commit) -> bool:
        phase = commit.run.phase
        return self.over if phase is UNSET else phase.is_terminal

    def finished_after(self, commit: Commit) -> bool:
        """Whether nobody need look at the run once it has `commit`."""
        return self.over_after(commit) and not open_after(self.open_hooks, commit.hooks)


def open_after(before: frozenset[int], hooks: Sequence[HookRow | HookPatch]) -> frozenset[int]:
    """Numbers of the hooks that are not over."""
    if not hooks:
        return before
    found = set(before)
    for hook in hooks:
        if hook.phase is UNSET:
            continue
        if hook.phase.is_terminal:
            found.discard(hook.number)
        else:
            found.add(hook.number)
    return frozenset(found)


def only_waits(commit: Commit) -> bool:
    """Whether a task began to wait for a resume or for its retry: nothing may follow for long."""
    return any(
        task.phase is Phase.SUSPENDED or not (task.retry_at is UNSET or task.retry_at is None)
        for task in commit.tasks
    )
