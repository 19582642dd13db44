"""What both runs show, side by side: every difference is an error."""

from __future__ import annotations

import json
from typing import Any

from aether.record import RunRows, TaskRow, as_mapping, decode_values
from oracle.binding import Task
from oracle.naive import ACTIVE, OPEN, Key, NaiveRun, is_open


class Disagreement(AssertionError):
    """The two schedulers do not show the same run."""


class Undecided(Exception):
    """Two things are due at one instant, and whichever comes first stops the other."""


class Comparison:
    naive: NaiveRun
    rows: RunRows | None
    at: int
    answered: set[Key]

    def task_rows(self) -> dict[int, TaskRow]:
        return self.rows.tasks if self.rows else {}

    def key(self, row: TaskRow) -> Key:
        above = self.key(self.task_rows()[row.parent]) if row.parent is not None else ()
        return (*above, (row.scope, row.task_name))

    def compare(self) -> None:
        assert self.rows is not None
        if self.naive.undecided:
            raise Undecided
        differences = list(unequal("run", self.naive_run(), self.real_run()))
        naive = {task["key"]: self.naive_task(task) for task in self.naive.tasks}
        real = {self.key(row): self.real_task(row) for row in self.task_rows().values()}
        differences += self.type_differences()
        for key in sorted({*naive, *real}):
            differences += unequal(path(key), naive.get(key), real.get(key))
        naive_hooks, real_hooks = self.naive_hooks(), self.real_hooks()
        if naive_hooks != real_hooks:
            differences.append(f"hooks: naive fired {naive_hooks}, plan {real_hooks}")
        due, claimed = self.naive.next_due(), self.rows.run.due_at
        if due is not None and (claimed is None or claimed > due):
            differences.append(f"run: naive due_at {due}, plan {claimed}")
        if differences:
            raise Disagreement("\n".join(differences))

    def naive_run(self) -> dict[str, Any]:
        return {
            "phase": self.naive.phase,
            "outputs": self.naive.outputs,
            "total": len(self.naive.tasks),
            "done": sum(not is_open(task) for task in self.naive.tasks),
            "deadline": self.naive.deadline if self.naive.phase in OPEN else None,
            "paused": self.naive.paused_at is not None and self.naive.phase in OPEN,
        }

    def real_run(self) -> dict[str, Any]:
        assert self.rows is not None
        run = self.rows.run
        return {
            "phase": str(run.phase),
            "outputs": as_mapping(run.outputs),
            "total": run.total,
            "done": run.done,
            "deadline": run.deadline_at if run.phase in OPEN else None,
            "paused": run.paused_at is not None and run.phase in OPEN,
        }

    def naive_hooks(self) -> list[tuple[str, str]]:
        clear = [(n, k) for n, k in self.naive.hooks if k is None or not self.is_murky(k)]
        return sorted((name, path(key) if key else "") for name, key in clear)

    def real_hooks(self) -> list[tuple[str, str]]:
        assert self.rows is not None
        shown = []
        for row in self.rows.hooks.values():
            key = None if row.task is None else self.key(self.rows.tasks[row.task])
            if key is None or not self.is_murky(key):
                shown.append((row.hook, path(key) if key else ""))
        return sorted(shown)

    def is_murky(self, key: Key) -> bool:
        return any(task["murky"] for task in self.naive.tasks if task["key"] == key)

    def naive_task(self, task: Task) -> dict[str, Any]:
        return {
            "phase": task["phase"],
            "kind": task["kind"],
            "template": task["template"],
            "depth": task["depth"],
            "inputs": self.shown_inputs(task["key"], task["inputs"]),
            "outputs": task["outputs"],
            "retries": task["retries"],
            "attempt": task["attempt"],
            "delivery": None if self.is_murky(task["key"]) else task["delivery"],
            "deadline": task["deadline"] if task["phase"] in ACTIVE else None,
            "retry_at": self.future(task["retry_at"]) if task["phase"] == "Created" else None,
            "omitted": sorted(task["omitted"]),
        }

    def real_task(self, row: TaskRow) -> dict[str, Any]:
        return {
            "phase": str(row.phase),
            "kind": row.kind,
            "template": row.template_name,
            "depth": row.depth,
            "inputs": self.shown_inputs(self.key(row), as_mapping(row.inputs)),
            "outputs": as_mapping(row.outputs),
            "retries": row.retry_count,
            "attempt": row.attempt,
            "delivery": None if self.is_murky(self.key(row)) else row.delivery,
            "deadline": row.deadline_at if row.phase in ACTIVE else None,
            "retry_at": self.future(row.retry_at) if row.phase == "Created" else None,
            "omitted": sorted(name for name, _ in row.omitted),
        }

    def type_differences(self) -> list[str]:
        differences = []
        for row in self.task_rows().values():
            task = next((t for t in self.naive.tasks if t["key"] == self.key(row)), None)
            if task is None or task["key"] in self.answered:
                continue
            types = self.naive.types(task)
            wanted = {value.name: types.get(value.name, "") for value in decode_values(row.inputs)}
            shown = {value.name: value.type for value in decode_values(row.inputs)}
            if wanted != shown:
                differences.append(f"{path(task['key'])}: naive types {wanted}, plan {shown}")
        return differences

    def future(self, at: int | None) -> int | None:
        """A wait that is over is no wait, whatever else the task waits for."""
        return at if at is not None and at > self.at else None

    def shown_inputs(self, key: Key, inputs: dict[str, Any]) -> dict[str, Any] | None:
        """None where the rules leave open whether inputs are there already."""
        task = next((task for task in self.naive.tasks if task["key"] == key), None)
        if task is None or task["murky"] or not (task["delivery"] or task["activated"]):
            return None
        if task["phase"] == "Created" and task["kind"] == "task":
            return None
        return {name: value for name, value in inputs.items() if value is not None}


def path(key: Key) -> str:
    return " > ".join(scope + name for scope, name in key)


def unequal(what: str, naive: dict[str, Any] | None, real: dict[str, Any] | None) -> list[str]:
    if naive is None or real is None:
        return [f"{what}: naive {naive}, plan {real}"]
    return [
        f"{what}: naive {name} {naive[name]!r}, plan {real[name]!r}"
        for name in naive
        if not same(naive[name], real[name])
    ]


def same(left: Any, right: Any) -> bool:
    """As JSON, so that true is not 1; only the order of members is free."""
    if left == right:
        return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    return False
