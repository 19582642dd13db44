"""What must hold in a store after any number of kills.

In: rows, logs, what was acknowledged, and the file of side effects. Out: findings, in words; none when
all is well. Never: a store, or a process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aether.ports import LogEntry
from aether.record import (
    Link,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    TaskPatch,
    TaskRow,
    apply,
    check_entry,
    check_head,
    decode_changes,
    decode_values,
    hook_run_id,
    task_run_id,
)

Signature = dict[str, Any]


def signature(rows: RunRows) -> Signature:
    """All of a run that neither time nor the order of things may change."""
    paths: dict[int, str] = {}
    tasks: dict[str, Any] = {}
    for row in rows.tasks.values():
        above = "" if row.parent is None else paths[row.parent]
        paths[row.ordinal] = path = f"{above} > {row.scope}{row.task_name}"
        tasks[path] = {
            "kind": row.kind,
            "phase": row.phase.value,
            "code": row.code,
            "message": row.message,
            "outputs": _values(row.outputs),
            "attempt": row.attempt,
            "retries": row.retry_count,
        }
    run = rows.run
    told = sorted((h.hook, h.scope, h.task_name, h.phase.value) for h in rows.hooks.values())
    return {
        "phase": run.phase.value,
        "message": run.message,
        "outputs": _values(run.outputs),
        "total": run.total,
        "done": run.done,
        "tasks": tasks,
        "hooks": told,
    }


def _values(data: bytes | None) -> dict[str, Any]:
    return {value.name: value.value for value in decode_values(data)}


def differences(found: Signature, wanted: Signature) -> Iterator[str]:
    """`found` against the same run without kills, member by member."""
    for member in wanted:
        if found[member] == wanted[member]:
            continue
        if member != "tasks":
            yield f"{member} is {found[member]!r}, and {wanted[member]!r} without kills"
            continue
        for path in sorted(found["tasks"].keys() | wanted["tasks"].keys()):
            one, other = found["tasks"].get(path), wanted["tasks"].get(path)
            if one != other:
                yield f"task{path} is {one}, and {other} without kills"


def rows_of(log: Sequence[LogEntry]) -> RunRows:
    """The state that the log says."""
    rows: RunRows | None = None
    for entry in log:
        for change in decode_changes(entry.body):
            rows = apply(rows, change)
    assert rows is not None, "a log begins with its run"
    return rows


def faults_of_log(rows: RunRows, log: Sequence[LogEntry]) -> Iterator[str]:
    """The log is whole, its chain holds, it tells of one end for each task and says what the rows say."""
    numbers = [entry.seq for entry in log]
    if numbers != list(range(1, rows.run.seq + 1)):
        yield f"the log's numbers are {numbers}, the run's is {rows.run.seq}"
        return
    link = Link()
    for entry in log:
        link, broken = check_entry(link, entry.seq, entry.at, entry.body)
        if broken:
            yield broken
    if broken := check_head(link, rows.run.seq, rows.run.head):
        yield broken
    ends: Counter[int] = Counter()
    for entry in log:
        for change in decode_changes(entry.body):
            if isinstance(change, TaskRow | TaskPatch) and _is_end(change.phase):
                ends[change.ordinal] += 1
            if isinstance(change, RunRow | RunPatch) and _is_end(change.phase):
                ends[-1] += 1
    for ordinal, count in ends.items():
        if count > 1:
            name = "the run" if ordinal < 0 else f"task run {ordinal}"
            yield f"{name} ended {count} times"
    yield from _apart(rows_of(log), rows)


_SEALS = ("token", "head", "signature")
"""Members of a run's row that the store and the chain give it: no log holds them."""


def _apart(said: RunRows, kept: RunRows) -> Iterator[str]:
    """Members in which the log and the rows disagree."""
    pairs: list[tuple[str, Any, Any]] = [("the run", said.run, kept.run)]
    for name, one, other in (
        ("task run", said.tasks, kept.tasks),
        ("hook", said.hooks, kept.hooks),
    ):
        pairs += [(f"{name} {n}", one.get(n), other.get(n)) for n in one.keys() | other.keys()]
    for name, first, second in pairs:
        if first is None or second is None:
            yield f"{name} stands only in the {'rows' if first is None else 'log'}"
            continue
        for member in first.__struct_fields__:
            values = getattr(first, member), getattr(second, member)
            if values[0] != values[1] and member not in _SEALS:
                yield f"{member} of {name} is {values[0]!r} in the log, {values[1]!r} in the rows"


def _is_end(phase: Any) -> bool:
    return isinstance(phase, Phase) and phase.is_terminal


def faults_of_rows(rows: RunRows) -> Iterator[str]:
    """Keys are unique, counts are right, and what is over holds nothing open."""
    keys = Counter((row.parent, row.scope, row.task_name) for row in rows.tasks.values())
    yield from (f"{key} is recorded {count} times" for key, count in keys.items() if count > 1)
    done = sum(row.phase.is_terminal for row in rows.tasks.values())
    if (len(rows.tasks), done) != (rows.run.total, rows.run.done):
        yield f"there are {len(rows.tasks)} task runs, {done} over; the run counts {rows.run.total}"
    if rows.run.phase.is_terminal:
        still = [row for row in rows.tasks.values() if not row.phase.is_terminal]
        yield from (f"task run {row.ordinal} is {row.phase} in a run that is over" for row in still)
        open_hooks = [hook for hook in rows.hooks.values() if not hook.phase.is_terminal]
        yield from (f"hook {hook.number} is {hook.phase} for ever" for hook in open_hooks)
        if rows.run.due_at is not None:
            yield "somebody is to look at a run that is over"


def faults_of_effects(lines: Iterable[str], runs: Mapping[str, RunRows]) -> Iterator[str]:
    """No execution that no delivery accounts for, and none twice."""
    deliveries = {
        name: row.delivery
        for run_id, rows in runs.items()
        for name, row in (
            *((task_run_id(run_id, task.ordinal), task) for task in rows.tasks.values()),
            *((hook_run_id(run_id, hook.number), hook) for hook in rows.hooks.values()),
        )
    }
    seen: Counter[tuple[str, int]] = Counter()
    for line in lines:
        name, _, delivery = line.split()
        seen[name, int(delivery)] += 1
        if name not in deliveries:
            yield f"{name} was executed and is not recorded"
        elif int(delivery) > deliveries[name]:
            yield f"{name} was executed as delivery {delivery} of {deliveries[name]}"
    for (name, delivery), count in seen.items():
        if count > 1:
            yield f"delivery {delivery} of {name} was executed {count} times"


def faults_of_repeated_effects(lines: Iterable[str], runs: Mapping[str, RunRows]) -> Iterator[str]:
    """The same where steps may run again after a crash: each time behind an epoch of their own."""
    epochs = {
        name: rows.run.epoch
        for run_id, rows in runs.items()
        for name in (
            *(task_run_id(run_id, task) for task in rows.tasks),
            *(hook_run_id(run_id, hook) for hook in rows.hooks),
        )
    }
    for line, count in Counter(lines).items():
        name, epoch, delivery = line.split()
        if name not in epochs:
            yield f"{name} was executed and is not recorded"
        elif int(epoch) > epochs[name]:
            yield f"{name} was executed in epoch {epoch} of {epochs[name]}"
        if count > 1:
            yield f"delivery {delivery} of {name} was executed {count} times in epoch {epoch}"


def unanswered(lives: Iterable[Iterable[str]]) -> set[tuple[str, str, str]]:
    """What was asked by a life that died before the answer, as verb, run and token. Where engines send
    each other letters it may be in the post still, and be done at any time."""
    found: set[tuple[str, str, str]] = set()
    for number, lines in enumerate(lives):
        for line in lines:
            word, *rest = line.split(" ")
            if word == "asks":
                found.add((rest[0], rest[1], f"life-{number}"))
            elif word == "acked" and rest[0] in ("pause", "unpause"):
                found.discard((rest[0], rest[1], f"life-{number}"))
    return found


def faults_of_pauses(
    acks: Iterable[Sequence[str]],
    pauses: Mapping[str, Sequence[str]],
    open_questions: Collection[tuple[str, str, str]],
) -> Iterator[str]:
    """The log tells of each pause, except that nobody pauses what an earlier letter has just paused."""
    for verb, run_id, *token in acks:
        log = pauses.get(run_id, ())
        if verb == "pause" and token[0] not in log:
            if not any(("pause", run_id, other) in open_questions for other in log):
                yield f"{run_id} was paused by {token[0]}, and its log does not say so"
        elif verb == "unpause" and "" not in log:
            yield f"{run_id} was unpaused, and its log does not say so"


def faults_at_death(
    lines: Iterable[str], runs: Mapping[str, RunRows], doubtful: Collection[str] = ()
) -> Iterator[str]:
    """What one life has had acknowledged stands in the store at the moment when it is killed. Whether a
    run is paused is not judged where it is `doubtful`."""
    acks: list[list[str]] = []
    paused: dict[str, bool] = {}
    for line in lines:
        word, *rest = line.split(" ")
        if word == "accepted" and rest[0] not in runs:
            yield f"{rest[0]} was accepted and is gone"
        elif word == "ended":
            acks.append(["ended", *rest])
        elif word == "acked" and rest[0] in ("pause", "unpause"):
            paused[rest[1]] = rest[0] == "pause"
        elif word == "acked":
            acks.append(rest)
        elif word == "asks":  # until this is answered either may be the case
            paused.pop(rest[1], None)
    yield from faults_of_acks(acks, runs)
    for run_id, wanted in paused.items():
        rows = runs.get(run_id)
        if run_id in doubtful:
            continue
        if rows is None or (rows.run.paused_at is not None) is not wanted:
            yield f"{run_id} was {'' if wanted else 'un'}paused, and the store does not say so"


def faults_of_acks(acks: Iterable[Sequence[str]], runs: Mapping[str, RunRows]) -> Iterator[str]:
    """What was acknowledged is there. Pauses are looked for in the log: see `pauses_of`."""
    for verb, *words in acks:
        run_id = words[0].rpartition(".")[0] if verb == "resume" else words[0]
        rows = runs.get(run_id)
        if rows is None:
            yield f"{verb} of {run_id} was acknowledged, and there is no such run"
        elif verb == "cancel" and rows.run.phase is not Phase.CANCELLED:
            yield f"{run_id} was cancelled, and is {rows.run.phase}"
        elif verb == "resume":
            row = rows.tasks[int(words[0].rpartition(".")[2])]
            if _values(row.inputs).get("token") != words[1]:
                yield f"{words[0]} was resumed by {words[1]}, and knows {_values(row.inputs)}"
        elif verb == "ended" and (rows.run.phase != words[1] or rows.run.seq < int(words[2])):
            yield f"{run_id} was seen {words[1]} at {words[2]}, and is {rows.run.phase}"


def pauses_of(log: Sequence[LogEntry]) -> list[str]:
    """Who paused the run, and "" for each time it went on."""
    changes = [change for entry in log for change in decode_changes(entry.body)]
    return [
        change.paused_by
        for change in changes
        if isinstance(change, RunPatch) and change.paused_by is not msgspec.UNSET
    ]
