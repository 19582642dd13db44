"""What two points differ in: two runs, or one run at two times.

In: rows of both. Out: a Difference, by path of the task runs. Never: instants, ids and workers, which
differ between any two runs, or the value of a secret.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..ports import Changed, Difference, Point, TaskDifference
from ..record import RunRows, TaskRow, decode_values
from .sentences import full_path

_in_order = msgspec.json.Encoder(order="deterministic").encode

_RUN_MEMBERS = ("name", "namespace", "phase", "message")
_TASK_MEMBERS = ("phase", "message", "code", "retry_count", "losses")
_WORDS = {"phase": "status", "retry_count": "retryCount"}


def compare(a: RunRows, b: RunRows) -> Difference:
    """Task runs in the order of `a`, then those that only `b` has."""
    run = _members(a.run, b.run, _RUN_MEMBERS)
    if a.run.document != b.run.document:
        run.append(Changed("document", a.run.document.hex()[:12], b.run.document.hex()[:12]))
    run += _values("arguments", a.run.arguments, b.run.arguments)
    run += _values("outputs", a.run.outputs, b.run.outputs)
    ours, theirs = _by_path(a), _by_path(b)
    tasks = []
    for path, row in ours.items():
        other = theirs.get(path)
        if other is None:
            tasks.append(TaskDifference(path=path, only_in="a", changes=_alone(row, "a")))
        elif changes := _task(row, other):
            tasks.append(TaskDifference(path=path, changes=changes))
    for path, row in theirs.items():
        if path not in ours:
            tasks.append(TaskDifference(path=path, only_in="b", changes=_alone(row, "b")))
    return Difference(
        a=Point(a.run.run_id, a.run.seq), b=Point(b.run.run_id, b.run.seq), run=run, tasks=tasks
    )


def _by_path(rows: RunRows) -> dict[str, TaskRow]:
    return {full_path(rows, row): row for row in rows.tasks.values()}


def _alone(row: TaskRow, side: str) -> list[Changed]:
    phase = str(row.phase)
    return [Changed("status", phase, None) if side == "a" else Changed("status", None, phase)]


def _task(a: TaskRow, b: TaskRow) -> list[Changed]:
    return [
        *_members(a, b, _TASK_MEMBERS),
        *_values("inputs", a.inputs, b.inputs),
        *_values("outputs", a.outputs, b.outputs),
    ]


def _members(a: Any, b: Any, names: tuple[str, ...]) -> list[Changed]:
    return [
        Changed(_WORDS.get(name, name), _plain(left), _plain(right))
        for name in names
        if (left := getattr(a, name)) != (right := getattr(b, name))
    ]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def _values(what: str, a: bytes | None, b: bytes | None) -> list[Changed]:
    if a == b:
        return []
    left, right = _shown(a), _shown(b)
    return [
        Changed(f"{what}.{name}", left.get(name), right.get(name))
        for name in [*left, *(name for name in right if name not in left)]
        if (name in left) != (name in right) or _in_order(left[name]) != _in_order(right[name])
    ]


def _shown(values: bytes | None) -> dict[str, Any]:
    return {
        value.name: "***" if value.secret is not None else value.value
        for value in decode_values(values)
    }
