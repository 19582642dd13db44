"""Rows for tests of stores: valid ones, with no more said than a test cares for.

In: what a test cares for. Out: rows and commits. Never: a rule about phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ports import Commit, CommitOutcome, Committed, RunRecord, Store, TaskRecord
from ..record import (
    CronRow,
    HookPatch,
    HookRow,
    RunPatch,
    RunRow,
    RunRows,
    TaskPatch,
    TaskRow,
    TemplateRow,
    Token,
)

START = 1_750_000_000_000_000
DIGEST = b"\x01" * 32
TEXT = b'{"kind": "Workflow"}'


def a_run(run_id: str, **members: Any) -> RunRow:
    told: dict[str, Any] = {"name": "flow", "document": DIGEST, "created_at": START}
    return RunRow(run_id=run_id, **told | members)


def a_task(ordinal: int, **members: Any) -> TaskRow:
    told: dict[str, Any] = {"task_name": f"task-{ordinal}", "created_at": START}
    return TaskRow(ordinal=ordinal, **told | members)


def a_hook(number: int, **members: Any) -> HookRow:
    told: dict[str, Any] = {"hook": "onStart", "template": "tell", "scope": "workflow"}
    return HookRow(number=number, **told | {"created_at": START} | members)


def a_cron(cron_id: str, **members: Any) -> CronRow:
    told: dict[str, Any] = {"name": "nightly", "document": TEXT, "created_at": START}
    return CronRow(cron_id=cron_id, **told | members)


def a_template(name: str, version: str, created_at: int = START) -> TemplateRow:
    return TemplateRow(name=name, version=version, document=TEXT, created_at=created_at)


def a_run_record(run_id: str, **members: Any) -> RunRecord:
    told: dict[str, Any] = {"name": "flow", "document": DIGEST, "text": TEXT, "created_at": START}
    return RunRecord(run_id=run_id, **told | members)


def a_task_record(run_id: str, ordinal: int, **members: Any) -> TaskRecord:
    told: dict[str, Any] = {"task_name": f"task-{ordinal}", "created_at": START}
    return TaskRecord(run_id=run_id, ordinal=ordinal, **told | members)


def creating(run: RunRow, **members: Any) -> Commit:
    """A commit that creates `run` with its document."""
    told: dict[str, Any] = {"document": (run.document, TEXT)}
    return Commit(run_id=run.run_id, expected=None, run=run, **told | members)


def changing(
    run_id: str,
    expected: Token,
    run: RunPatch | None = None,
    tasks: Sequence[TaskRow | TaskPatch] = (),
    hooks: Sequence[HookRow | HookPatch] = (),
    **members: Any,
) -> Commit:
    """A commit that changes a run that exists."""
    return Commit(
        run_id=run_id,
        expected=expected,
        run=RunPatch() if run is None else run,
        tasks=tasks,
        hooks=hooks,
        **members,
    )


async def commit_one(store: Store, commit: Commit) -> CommitOutcome:
    [outcome] = await store.commit([commit])
    return outcome


async def committed(store: Store, commit: Commit) -> Token:
    """The token after a commit that must succeed."""
    outcome = await commit_one(store, commit)
    assert isinstance(outcome, Committed), f"{outcome} where the commit had to succeed"
    return outcome.token


async def loaded(store: Store, run_id: str) -> RunRows:
    """The rows of a run that must exist."""
    [rows] = await store.load([run_id])
    assert rows is not None, f"run {run_id} is not there"
    return rows
