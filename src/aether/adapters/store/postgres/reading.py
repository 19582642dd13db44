"""How a PostgreSQL store reads runs: each answer comes from one statement, and so from one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....ports import DueRun, LogEntry, Page, RunQuery
from ....record import (
    HookRow,
    RunRow,
    RunRows,
    TaskRow,
    Token,
    patch_hook,
    patch_run,
    patch_task,
)
from ...store_rules import place, read_cursor, write_cursor
from .connections import BadValue, Connections
from .definitions import refuse
from .held import (
    decode_hook,
    decode_hook_patch,
    decode_run,
    decode_run_patch,
    decode_task,
    decode_task_patch,
)
from .loading import Groups, Loading
from .sql import statements

_TASK = 1  # of the kinds of rows that the statement `rows` gives


class Reading:
    _connections: Connections

    def __init__(self) -> None:
        self._loading = Loading(self._read_rows)

    async def _read(self, statement: str, *values: Any) -> Sequence[Any]:
        try:
            return await self._connections.ask(statement, *values)
        except BadValue as error:
            refuse(error)

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        if not run_ids:
            return []
        found = await self._loading.load(run_ids)
        return [_rows(found[run_id]) if run_id in found else None for run_id in run_ids]

    async def _read_rows(self, run_ids: Sequence[str]) -> Groups:
        found: Groups = {}
        for row in await self._read(statements("reading")["rows"], run_ids):
            found.setdefault(row[0], []).append(row)
        return found

    async def run(self, run_id: str) -> RunRow | None:
        rows = await self._read(statements("reading")["run"], run_id)
        return run_row(*rows[0]) if rows else None

    async def document(self, digest: bytes) -> bytes | None:
        rows = await self._read(statements("reading")["document"], digest)
        return rows[0][0] if rows else None

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        rows = await self._read(statements("reading")["unfinished"], after, limit)
        return [DueRun(run_id, due_at) for run_id, due_at in rows]

    async def runs(self, query: RunQuery) -> Page:
        start = read_cursor(query.after)
        values: list[Any] = [query.limit + 1]
        conditions = ["true"]

        def must(condition: str, *given: Any) -> None:
            names = [f"${len(values) + number}" for number in range(1, len(given) + 1)]
            values.extend(given)
            conditions.append(condition.format(*names))

        if query.phases:
            must("phase = ANY ({}::text[])", [phase.value for phase in query.phases])
        for column in ("name", "namespace", "cron_id"):
            if wanted := getattr(query, column):
                must(column + " = {}", wanted)
        if query.cron_id:
            conditions.append("cron_id <> ''")  # said for the sake of the partial index
        if start is not None:
            sign = "<" if query.newest_first else ">"
            must("(created_at, run_id) " + sign + " ({}::bigint, {}::text)", *start)
        text = statements("reading")["runs"].format(
            conditions=" AND ".join(conditions), order="DESC" if query.newest_first else "ASC"
        )
        rows = [run_row(*row) for row in await self._read(text, *values)]
        if len(rows) <= query.limit:
            return Page(rows)
        del rows[query.limit :]
        return Page(rows, write_cursor(place(rows[-1])))

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        rows = await self._read(statements("reading")["history"], run_id, after_seq, limit)
        return [LogEntry(seq, at, body) for seq, at, body in rows]


def _rows(found: Sequence[Any]) -> RunRows:
    """All rows of one run, its own first, then tasks, then hooks, both ascending."""
    _, _, _, token, body, changes = found[0]
    rows = RunRows(run_row(token, body, changes), {}, {})
    for _, kind, number, _, body, changes in found[1:]:
        if kind == _TASK:
            rows.tasks[number] = task_row(body, changes)
        else:
            rows.hooks[number] = hook_row(body, changes)
    return rows


def run_row(token: Token, body: bytes, changes: bytes) -> RunRow:
    row = decode_run(body)
    if changes:
        patch_run(row, decode_run_patch(changes))
    row.token = token
    return row


def task_row(body: bytes, changes: bytes) -> TaskRow:
    row = decode_task(body)
    if changes:
        patch_task(row, decode_task_patch(changes))
    return row


def hook_row(body: bytes, changes: bytes) -> HookRow:
    row = decode_hook(body)
    if changes:
        patch_hook(row, decode_hook_patch(changes))
    return row
