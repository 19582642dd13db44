"""A small, slow, obviously right description of what a run may do, held against everything it does.

In: each commit at the moment the store takes it, each dispatch, each answer to a client. Out: breaches,
as text. Never: a look into the plan; it knows rows, rules and the document's numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

from ...ports import Assignment, Commit
from ...record import (
    HookPatch,
    HookRow,
    Instant,
    Link,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    TaskPatch,
    TaskRow,
    Token,
    apply,
    check_entry,
    parse_task_run_id,
    patch_fields,
)

_AT_WORK = (Phase.READY, Phase.RUNNING)
_AFTER_THE_END = ("seq", "decided_at", "due_at", "total", "done")
_ANOTHERS = ("epoch", "owner")  # may change then while hooks are still to be run
PROGRAM = "program"
"""The name of runs that are functions."""
_IDENTITY = ("parent", "scope", "task_name", "index", "kind", "executor", "created_at")


class Rules:
    """Numbers of one document that bound what its runs may do."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        spec = document["spec"]
        self.parallelism: int = spec.get("parallelism", 0)
        self.retries: dict[str, int] = {}
        self.widths: dict[str, int] = {}  # template of a container: children open at a time
        for template in spec.get("templates", ()):
            ((kind, body),) = template.items()
            name = body["name"]
            if kind == "dag":
                self.widths[name] = body.get("parallelism", 0)
                for node in body["tasks"]:
                    self._allow(node["name"], node)
                    if "retry" not in node and "template" in node:
                        self._allow(node["name"], _body_of(spec, node["template"]), inherited=True)
            elif kind == "loop":
                self.widths[name] = 1 if "repeatCondition" in body else body.get("concurrency", 0)
                self._allow(body["body"], body)
                if "retry" not in body:
                    self._allow(body["body"], _body_of(spec, body["body"]), inherited=True)
        entry = spec["entrypoint"]
        self._allow(entry, _body_of(spec, entry), inherited=True)

    def _allow(self, name: str, part: Mapping[str, Any], *, inherited: bool = False) -> None:
        # A loop's own `retry` is for its iterations, so a container inherits none from its template.
        if inherited and "executor" not in part:
            return
        limit = part.get("retry", {}).get("limit", 0)
        self.retries[name] = max(self.retries.get(name, 0), limit)


def _body_of(spec: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    bodies = (body for template in spec["templates"] for body in template.values())
    found: Mapping[str, Any] = next(body for body in bodies if body["name"] == name)
    return found


class Shadow:
    """One run as its log tells it."""

    __slots__ = (
        "at",
        "is_function",
        "link",
        "paths",
        "phases",
        "reigns",
        "resumed",
        "rows",
        "rules",
        "token",
        "was_paused",
    )

    def __init__(self, rows: RunRows, rules: Rules | None) -> None:
        self.rows = rows
        self.rules = rules
        self.is_function = rows.run.name == PROGRAM
        self.paths: dict[tuple[str, str], int] = {}  # durable calls of a function
        self.token: Token = 0
        self.link = Link()
        self.at: Instant = 0
        self.was_paused = -1  # when it was seen paused last, in the loop's time
        self.reigns: dict[int, int] = {}  # the session that decides, by epoch
        self.resumed: dict[int, int] = {}  # how often a task left Suspended for a resume
        self.phases: dict[int, tuple[str, ...]] = {}  # what every task showed, by seq


class FunctionRules(Protocol):
    """What must be true of functions beside."""

    def paths_are_unique(self, run_id: str, shadow: Shadow, row: TaskRow) -> None: ...

    def ended(self, run_id: str, run: RunRow) -> None: ...

    def forget(self, run_id: str) -> None: ...


class Model:
    """`breach` takes what went wrong; `now` is the loop's time."""

    def __init__(self, breach: Callable[[str], None], now: Callable[[], int]) -> None:
        self.breach = breach
        self.now = now
        self.runs: dict[str, Shadow] = {}
        self.rules: dict[str, Rules] = {}  # by the name of the document
        self.deleted: dict[str, None] = {}
        self.births: Counter[str] = Counter()  # a run may be deleted, and another one have its id
        self.ended = 0
        self.functions: FunctionRules | None = None
        self.commits = 0
        self.begun: dict[tuple[str, int | None, int], int] = {}

    # What the store took

    def committed(self, commit: Commit, changes: Sequence[Any], token: Token) -> RunRows | None:
        """The run's rows before this commit, patched ones copied, for whoever checks the decision."""
        self.commits += 1
        run_id = commit.run_id
        shadow = self.runs.get(run_id)
        assert commit.log is not None
        if shadow is None:
            first = changes[0] if changes else None
            if not isinstance(first, RunRow):
                self.breach(f"{run_id}: its log does not begin with its run")
                return None
            rules = self.rules.get(first.name)
            shadow = self.runs[run_id] = Shadow(RunRows(first), rules)
            self.births[run_id] += 1
            self.deleted.pop(run_id, None)
        elif token <= shadow.token:
            self.breach(f"{run_id}: token {token} after {shadow.token}")
        elif (commit.expected or 0) < shadow.token:
            self.breach(f"{run_id}: a decision made on old rows was taken")
        before = _touched(shadow.rows, changes)
        for change in changes:
            self._legal(run_id, shadow, change)
            shadow.rows = apply(shadow.rows, change)
        shadow.token = token
        shadow.link, fault = check_entry(
            shadow.link, commit.log.seq, commit.log.at, commit.log.body
        )
        if fault:
            self.breach(f"{run_id}: the chain does not hold: {fault}")
        shadow.rows.run.head = shadow.link.head
        self._sequence(shadow, before, commit)
        self._whole(run_id, shadow, before, changes)
        return before

    def answered(self, commit: Commit, token: Token) -> None:
        """A letter that changes nothing is answered in a commit without a log record."""
        shadow = self.runs.get(commit.run_id)
        if not commit.consumed or commit.tasks or commit.hooks or commit.run != RunPatch():
            self.breach(f"{commit.run_id}: a commit without a log record")
        elif shadow is not None:
            shadow.token = token

    def _legal(self, run_id: str, shadow: Shadow, change: Any) -> None:
        rows = shadow.rows
        if isinstance(change, TaskRow) and change.ordinal in rows.tasks:
            self.breach(f"{run_id}.{change.ordinal} was recorded twice")
        elif isinstance(change, TaskPatch):
            row = rows.tasks[change.ordinal]
            if row.phase.is_terminal:
                fields = patch_fields(change)
                self.breach(f"{run_id}.{row.ordinal} is {row.phase}, and changed again: {fields}")
            for name in ("attempt", "delivery", "retry_count", "begun"):
                value = getattr(change, name)
                if isinstance(value, int) and value < getattr(row, name):
                    self.breach(f"{run_id}.{row.ordinal}: {name} went back to {value}")
        elif isinstance(change, HookRow) and change.number in rows.hooks:
            self.breach(f"{run_id}.h{change.number} was recorded twice")
        elif isinstance(change, HookPatch):
            hook = rows.hooks[change.number]
            fields = patch_fields(change)
            if hook.phase.is_terminal and set(fields) - {"notified"}:
                self.breach(f"{run_id}.h{hook.number} is over, and changed again: {fields}")
            if hook.notified and fields.get("notified") is False:
                self.breach(f"{run_id}.h{hook.number} was delivered, and then was not")
        elif isinstance(change, RunPatch) and rows.run.phase.is_terminal:
            fields = patch_fields(change)
            has_hooks = any(not hook.phase.is_terminal for hook in rows.hooks.values())
            allowed = _AFTER_THE_END + (_ANOTHERS if has_hooks else ())
            if any(name not in allowed for name in fields):
                self.breach(f"{run_id} is {rows.run.phase}, and changed again: {fields}")

    def _sequence(self, shadow: Shadow, before: RunRows, commit: Commit) -> None:
        run, log = shadow.rows.run, commit.log
        assert log is not None
        last = 0 if before.run is run else before.run.seq
        if (run.seq, log.seq) != (last + 1, last + 1):
            self.breach(f"{run.run_id}: decision {log.seq} followed {last} and says {run.seq}")
        if not before.run.phase.is_terminal:
            owner = shadow.reigns.setdefault(run.epoch, run.owner)
            if owner != run.owner:
                self.breach(
                    f"{run.run_id}: {owner} and {run.owner} both decided in epoch {run.epoch}"
                )
        if log.at < shadow.at:
            self.breach(f"{run.run_id}: time went back, from {shadow.at} to {log.at}")
        shadow.at = log.at

    def _whole(self, run_id: str, shadow: Shadow, before: RunRows, changes: Sequence[Any]) -> None:
        rows = shadow.rows
        run, rules = rows.run, shadow.rules
        if run.paused_at is not None or before.run.paused_at is not None:
            shadow.was_paused = self.now()
        for change in changes:
            if isinstance(change, TaskRow | TaskPatch):
                number = change.ordinal
                self._task(run_id, shadow, rows.tasks[number], before.tasks.get(number))
                if shadow.is_function and self.functions is not None:
                    self.functions.paths_are_unique(run_id, shadow, rows.tasks[number])
        self._onstart_hooks(run_id, rows, before)
        if run.phase.is_terminal and not before.run.phase.is_terminal:
            self.ended += 1
            if shadow.is_function and self.functions is not None:
                self.functions.ended(run_id, run)
            for row in rows.tasks.values():
                if not row.phase.is_terminal:
                    self.breach(f"{run_id} ended {run.phase} with task {row.ordinal} {row.phase}")
        if rules is not None:
            self._limits(run_id, rows, rules)
        shadow.phases[run.seq] = tuple(str(row.phase) for row in rows.tasks.values())
        if len(shadow.phases) > 64:
            del shadow.phases[next(iter(shadow.phases))]

    def _task(self, run_id: str, shadow: Shadow, row: TaskRow, before: TaskRow | None) -> None:
        run = shadow.rows.run
        handed_out = row.delivery > (before.delivery if before else 0)
        if handed_out and row.phase in _AT_WORK and run.paused_at is not None:
            self.breach(f"{run_id}.{row.ordinal} was handed out while the run is paused")
        if handed_out and run.phase.is_terminal and before is not None:
            if not row.phase.is_terminal:
                self.breach(f"{run_id}.{row.ordinal} was handed out after the run's end")
        if row.retry_count != row.attempt - 1:
            self.breach(f"{run_id}.{row.ordinal}: attempt {row.attempt}, {row.retry_count} retries")
        rules = shadow.rules
        if rules is not None and row.retry_count > rules.retries.get(row.task_name, 0):
            allowed = rules.retries.get(row.task_name, 0)
            self.breach(
                f"{run_id}.{row.ordinal} ({row.task_name}) got {row.retry_count} retries of {allowed}"
            )
        if before is not None:
            for name in _IDENTITY:
                if getattr(row, name) != getattr(before, name):
                    self.breach(f"{run_id}.{row.ordinal}: its {name} changed")
            if before.phase is Phase.SUSPENDED and row.phase in (Phase.CREATED, *_AT_WORK):
                if row.attempt == before.attempt:
                    shadow.resumed[row.ordinal] = shadow.resumed.get(row.ordinal, 0) + 1

    def _onstart_hooks(self, run_id: str, rows: RunRows, before: RunRows) -> None:
        for number, hook in rows.hooks.items():
            if number in before.hooks or hook.hook != "onStart":
                continue
            attempt = 1 if hook.task is None else rows.tasks[hook.task].begun
            key = (run_id, hook.task, attempt)
            if self.begun.setdefault(key, number) != number:
                self.breach(
                    f"{run_id}: onStart of task {hook.task}, attempt {attempt}, fired twice"
                )

    def _limits(self, run_id: str, rows: RunRows, rules: Rules) -> None:
        if rules.parallelism:
            leaves = [r for r in rows.tasks.values() if r.kind == "task" and r.phase in _AT_WORK]
            if len(leaves) > rules.parallelism:
                self.breach(f"{run_id}: {len(leaves)} tasks in {rules.parallelism} slots")
        if not any(rules.widths.values()):
            return
        open_below: dict[int, int] = {}
        for row in rows.tasks.values():
            if row.parent is not None and not row.phase.is_terminal:
                open_below[row.parent] = open_below.get(row.parent, 0) + 1
        for ordinal, count in open_below.items():
            parent = rows.tasks[ordinal]
            width = rules.widths.get(parent.template_name, 0)
            if width and count > width:
                self.breach(f"{run_id}.{ordinal} has {count} open children; {width} may be")

    # What engines say and do

    def dispatched(self, assignments: Sequence[Assignment]) -> None:
        for given in assignments:
            parsed = parse_task_run_id(given.task_run_id)
            assert parsed is not None, given.task_run_id
            run_id, number, is_hook = parsed
            shadow = self.runs.get(run_id)
            if shadow is None:
                if run_id not in self.deleted:
                    self.breach(f"{given.task_run_id} was dispatched, and its run is not stored")
                continue
            rows = shadow.rows
            row = rows.hooks.get(number) if is_hook else rows.tasks.get(number)
            if row is None or row.delivery < given.fence.delivery:
                self.breach(f"{given.task_run_id} was dispatched before its delivery was stored")
            elif rows.run.epoch < given.fence.epoch:
                self.breach(f"{given.task_run_id} was dispatched under an epoch not yet stored")

    def forget(self, run_id: str) -> None:
        shadow = self.runs.pop(run_id, None)
        self.deleted[run_id] = None
        if self.functions is not None:
            self.functions.forget(run_id)
        if shadow is not None and not shadow.rows.run.phase.is_terminal:
            self.breach(f"{run_id} was deleted while it was {shadow.rows.run.phase}")
        self.begun = {key: n for key, n in self.begun.items() if key[0] != run_id}

    def compare(self, run_id: str, stored: RunRows | None, *, whole: bool = False) -> None:
        """The log's rows against the store's."""
        shadow = self.runs.get(run_id)
        if shadow is None or stored is None:
            if shadow is not None or stored is not None:
                self.breach(f"{run_id}: the store and its log do not agree that it exists")
            return
        rows = shadow.rows
        stored.run.token = rows.run.token
        stored.run.claimed = rows.run.claimed  # the store's own word: no decision says it
        if rows.run != stored.run:
            different = [
                f"{name} is {getattr(rows.run, name)!r} and {getattr(stored.run, name)!r}"
                for name in rows.run.__struct_fields__
                if getattr(rows.run, name) != getattr(stored.run, name)
            ]
            self.breach(f"{run_id}: the log's run is not the store's: {different}")
        if rows.tasks != stored.tasks or rows.hooks != stored.hooks:
            self.breach(f"{run_id}: the log's rows are not the store's")


def _touched(rows: RunRows, changes: Sequence[Any]) -> RunRows:
    """Copies of what these changes are about to alter, as it was."""
    tasks: dict[int, TaskRow] = {}
    hooks = dict(rows.hooks)
    run = rows.run
    for change in changes:
        if isinstance(change, TaskPatch) and change.ordinal in rows.tasks:
            tasks[change.ordinal] = copy(rows.tasks[change.ordinal])
        elif isinstance(change, HookPatch) and change.number in hooks:
            hooks[change.number] = copy(hooks[change.number])
        elif isinstance(change, RunPatch):
            run = copy(rows.run)
    return RunRows(run, tasks, hooks)
