"""What every store answers alike: which commits can never be carried out, and how listings page.

In: commits, queries, rows. Out: reasons, cursors, verdicts. Never: rows written.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Container, Mapping, Sequence

import msgspec

from ..errors import Problem, Refused
from ..ports import Commit, RunQuery
from ..record import HookPatch, HookRow, Instant, RunPatch, RunRow, TaskPatch, TaskRow

Place = tuple[Instant, str]  # creation and run id: where a run stands in every listing

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Place] = msgspec.json.Decoder(Place)


def refusal(
    commit: Commit, tasks: Container[int], hooks: Container[int], documents: Container[bytes]
) -> str:
    """Why this commit can never be carried out over these rows; "" if it can."""
    if commit.expected is None:
        reason = _new_run_refusal(commit, documents)
    elif isinstance(commit.run, RunRow):
        reason = f"run '{commit.run_id}' exists, and a row cannot replace it"
    elif commit.document is not None:
        reason = f"the document of run '{commit.run_id}' came with its first commit"
    else:
        reason = ""
    if not reason and commit.tasks:
        reason = _task_refusal(commit.run_id, commit.tasks, tasks)
    if not reason and commit.hooks:
        reason = _hook_refusal(commit.run_id, commit.hooks, hooks)
    return reason


def _new_run_refusal(commit: Commit, documents: Container[bytes]) -> str:
    run = commit.run
    if isinstance(run, RunPatch):
        return f"run '{commit.run_id}' is new, but its commit holds no whole row"
    if run.run_id != commit.run_id:
        return f"the commit of run '{commit.run_id}' holds the row of run '{run.run_id}'"
    if commit.document is None:
        if run.document not in documents:
            return f"run '{commit.run_id}' names a document that is neither given nor kept"
    elif commit.document[0] != run.document:
        return f"run '{commit.run_id}' names another document than its commit holds"
    return ""


def fork_refusal(commit: Commit, origin: RunRow | None) -> str:
    """Why a commit that `shares` cannot be carried out beside this run, which it names; "" if it can."""
    run = commit.run
    if isinstance(run, RunPatch) or run.origin is None:
        return f"run '{commit.run_id}' is to share a log and names no run as its origin"
    if origin is None:
        return f"the origin of run '{commit.run_id}', run '{run.origin.run_id}', does not exist"
    if origin.document != run.document:
        return f"run '{commit.run_id}' names another document than its origin"
    return ""


def _task_refusal(
    run_id: str, changes: Sequence[TaskRow | TaskPatch], existing: Container[int]
) -> str:
    new: set[int] = set()
    for change in changes:
        if isinstance(change, TaskRow):
            new.add(change.ordinal)
        elif change.ordinal not in existing and change.ordinal not in new:
            return f"run '{run_id}' has no task run {change.ordinal} to change"
    return ""


def _hook_refusal(
    run_id: str, changes: Sequence[HookRow | HookPatch], existing: Container[int]
) -> str:
    new: set[int] = set()
    for change in changes:
        if isinstance(change, HookRow):
            new.add(change.number)
        elif change.number not in existing and change.number not in new:
            return f"run '{run_id}' has no hook {change.number} to change"
    return ""


def place(row: RunRow) -> Place:
    return row.created_at, row.run_id


def matches(row: RunRow, query: RunQuery) -> bool:
    return (
        (not query.phases or row.phase in query.phases)
        and (not query.name or row.name == query.name)
        and (not query.namespace or row.namespace == query.namespace)
        and (not query.cron_id or row.cron_id == query.cron_id)
        and row.run_id.startswith(query.id_prefix)
        and _is_within(row.created_at, query.created_from, query.created_to)
        and _is_within(row.finished_at, query.finished_from, query.finished_to)
        and (not query.labels or _bears(row, query.labels))
        and (not query.text or _says(row, query.text.casefold()))
    )


def _bears(row: RunRow, labels: Mapping[str, str]) -> bool:
    found = row.labels or {}
    if row.attributes:
        found = {**row.attributes, **found} if found else row.attributes
    return labels.items() <= found.items()


def _is_within(at: Instant | None, start: Instant | None, end: Instant | None) -> bool:
    if start is None and end is None:
        return True
    return at is not None and (start is None or at >= start) and (end is None or at < end)


def _says(row: RunRow, folded: str) -> bool:
    told = (
        row.run_id,
        row.name,
        row.message,
        *(row.labels or {}).values(),
        *(row.attributes or {}).values(),
    )
    return any(folded in each.casefold() for each in told)


def write_cursor(last: Place) -> str:
    """The cursor of a page whose last run stands at `last`."""
    return urlsafe_b64encode(_encode(last)).decode().rstrip("=")


def read_cursor(cursor: str) -> Place | None:
    """None for the first page. Raises Refused `bad-cursor`."""
    if not cursor:
        return None
    try:
        return _decoder.decode(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.DecodeError) as exc:
        raise Refused(
            Problem(
                "bad-cursor",
                f"'{cursor[:80]}' is no cursor of a list of runs",
                fix="leave `after` out, or give the cursor that came with the page before",
            )
        ) from exc
