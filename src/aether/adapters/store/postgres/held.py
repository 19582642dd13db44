"""What the store remembers of unfinished runs, so that a decision needs no reading before its writing.

A row is kept as it was created, beside one patch with all changes since: to write a decision the store
must know that patch, and no payload. What is remembered is true for one token only; the server
compares the token, so an old memory leads to a conflict, never to a wrong row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import copy

import msgspec

from ....ports import Commit
from ....record import (
    HookPatch,
    HookRow,
    Instant,
    Phase,
    RunPatch,
    RunRow,
    TaskPatch,
    TaskRow,
    Token,
    patch_hook,
    patch_run,
    patch_task,
)

encode = msgspec.msgpack.Encoder().encode
decode_run = msgspec.msgpack.Decoder(RunRow).decode
decode_task = msgspec.msgpack.Decoder(TaskRow).decode
decode_hook = msgspec.msgpack.Decoder(HookRow).decode
decode_run_patch = msgspec.msgpack.Decoder(RunPatch).decode
decode_task_patch = msgspec.msgpack.Decoder(TaskPatch).decode
decode_hook_patch = msgspec.msgpack.Decoder(HookPatch).decode


class Held:
    """One run at one token: its patch, and those of its task and hook rows that are not over."""

    __slots__ = ("changes", "due_at", "hooks", "phase", "tasks", "token")

    def __init__(
        self, token: Token, phase: Phase, due_at: Instant | None, changes: RunPatch
    ) -> None:
        self.token = token
        self.phase = phase
        self.due_at = due_at
        self.changes = changes
        self.tasks: dict[int, TaskPatch] = {}
        self.hooks: dict[int, HookPatch] = {}


class Memory:
    """Runs held, the one used last at the end; forgets the oldest beyond `most` rows."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._rows = 0
        self._runs: OrderedDict[str, tuple[Held, int]] = OrderedDict()

    def get(self, run_id: str, token: Token) -> Held | None:
        found = self._runs.get(run_id)
        return found[0] if found is not None and found[0].token == token else None

    def keep(self, run_id: str, held: Held) -> None:
        self.forget(run_id)
        weight = 1 + len(held.tasks) + len(held.hooks)
        self._runs[run_id] = held, weight
        self._rows += weight
        while self._rows > self._most and len(self._runs) > 1:
            _, (_, lost) = self._runs.popitem(last=False)
            self._rows -= lost

    def forget(self, run_id: str) -> None:
        found = self._runs.pop(run_id, None)
        if found is not None:
            self._rows -= found[1]

    def clear(self) -> None:
        self._runs.clear()
        self._rows = 0


class Seen(msgspec.Struct, frozen=True, gc=False):
    """A hook row as the server has it."""

    open: bool
    changes: HookPatch


class Written(msgspec.Struct, gc=False):
    """What becomes of one task or hook row: `body` is None where the row is there already."""

    body: bytes | None
    changes: TaskPatch | HookPatch | None
    open: bool


class Prepared:
    """One commit, ready to be written over `held`, and what to remember once it is."""

    __slots__ = ("changes", "commit", "due_at", "held", "hooks", "open", "phase", "tasks")

    def __init__(
        self,
        commit: Commit,
        held: Held | None,
        tasks: Mapping[int, TaskPatch],
        hooks: Mapping[int, Seen],
    ) -> None:
        self.commit = commit
        self.held = held
        run = commit.run
        if isinstance(run, RunRow):
            self.changes: RunPatch | None = None
            self.phase, self.due_at = run.phase, run.due_at
        else:
            assert held is not None, "refusal() lets no patch create a run"
            self.changes = _merged(held.changes, run)
            self.phase = run.phase if isinstance(run.phase, Phase) else held.phase
            self.due_at = held.due_at if isinstance(run.due_at, msgspec.UnsetType) else run.due_at
        self.tasks = self._prepare_tasks(commit.tasks, tasks) if commit.tasks else {}
        self.hooks = self._prepare_hooks(commit.hooks, hooks) if commit.hooks else {}
        self.open = not self.phase.is_terminal or self._has_open_hook()

    def _prepare_tasks(
        self, given: Sequence[TaskRow | TaskPatch], seen: Mapping[int, TaskPatch]
    ) -> dict[int, Written]:
        held = {} if self.held is None else self.held.tasks
        ready: dict[int, Written] = {}
        for change in given:
            ordinal = change.ordinal
            if isinstance(change, TaskRow):
                ready[ordinal] = Written(encode(change), None, not change.phase.is_terminal)
                continue
            written = ready.get(ordinal)
            if written is None:
                before = held.get(ordinal)
                if before is None:
                    before = seen[ordinal]
                written = ready[ordinal] = Written(None, copy(before), True)
            if isinstance(written.changes, TaskPatch):
                patch_task(written.changes, change)
            else:
                written.changes = copy(change)
            if isinstance(change.phase, Phase):
                written.open = not change.phase.is_terminal
        return ready

    def _prepare_hooks(
        self, given: Sequence[HookRow | HookPatch], seen: Mapping[int, Seen]
    ) -> dict[int, Written]:
        held = {} if self.held is None else self.held.hooks
        ready: dict[int, Written] = {}
        for change in given:
            number = change.number
            if isinstance(change, HookRow):
                ready[number] = Written(encode(change), None, not change.phase.is_terminal)
                continue
            written = ready.get(number)
            if written is None:
                before = held.get(number)
                written = ready[number] = (
                    Written(None, copy(seen[number].changes), seen[number].open)
                    if before is None
                    else Written(None, copy(before), True)
                )
            if isinstance(written.changes, HookPatch):
                patch_hook(written.changes, change)
            else:
                written.changes = copy(change)
            if isinstance(change.phase, Phase):
                written.open = not change.phase.is_terminal
        return ready

    def _has_open_hook(self) -> bool:
        if any(written.open for written in self.hooks.values()):
            return True
        return self.held is not None and any(number not in self.hooks for number in self.held.hooks)

    def after(self, token: Token) -> Held:
        """What holds once the server gave this token."""
        held = self.held
        if held is None:
            held = Held(token, self.phase, self.due_at, RunPatch())
        else:
            held.token, held.phase, held.due_at = token, self.phase, self.due_at
            if self.changes is not None:
                held.changes = self.changes
        for ordinal, written in self.tasks.items():
            if written.open:
                patch = written.changes
                held.tasks[ordinal] = patch if isinstance(patch, TaskPatch) else TaskPatch(ordinal)
            else:
                held.tasks.pop(ordinal, None)
        for number, written in self.hooks.items():
            if written.open:
                change = written.changes
                held.hooks[number] = (
                    change if isinstance(change, HookPatch) else HookPatch(number=number)
                )
            else:
                held.hooks.pop(number, None)
        return held


def _merged(before: RunPatch, after: RunPatch) -> RunPatch:
    merged = copy(before)
    patch_run(merged, after)
    return merged
