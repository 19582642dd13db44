"""How a PostgreSQL store reads runs: each answer comes from one statement, and so from one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from ...listings import FEW, Branch, Gathering, branches, few, in_order, within
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

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        rows = await self._read(statements("reading")["payloads"], digests) if digests else ()
        return dict(rows)

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        rows = await self._read(statements("reading")["unfinished"], after, limit)
        return [DueRun(run_id, due_at, owner) for run_id, due_at, owner in rows]

    async def runs(self, query: RunQuery) -> Page:
        gathering = Gathering(query)
        few_of_them = await self._few(query)
        while True:
            asked = gathering.wanted
            if few_of_them is not None:
                rows = await self._branch("few_runs", few_of_them, gathering, asked)
            else:
                rows = await self._branches(gathering, asked)
            page = gathering.read(rows, asked)
            if page is not None:
                return page

    async def _few(self, query: RunQuery) -> Branch | None:
        branch = few(query)
        if branch is None:
            return None
        text = statements("reading")["count_runs"].format(conditions=_spelled(branch))
        counted = await self._read(text, FEW + 1, *branch.values)
        return branch if counted[0][0] <= FEW else None

    async def _branches(self, gathering: Gathering, most: int) -> list[RunRow]:
        found: list[RunRow] = []
        ways = branches(gathering.query)
        for way in ways:
            name = "labelled_runs" if way.through == "run_label" else "runs"
            found += await self._branch(name, way, gathering, most)
        return found if len(ways) == 1 else in_order(found, gathering.query, most)

    async def _branch(
        self, statement: str, branch: Branch, gathering: Gathering, most: int
    ) -> list[RunRow]:
        query = gathering.query
        branch = within(branch, query, gathering.behind)
        text = statements("reading")[statement].format(
            conditions=_spelled(branch), order="DESC" if query.newest_first else "ASC"
        )
        return [run_row(*row) for row in await self._read(text, most, *branch.values)]

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        rows = await self._read(statements("reading")["history"], run_id, after_seq, limit)
        return [LogEntry(seq, at, body) for seq, at, body in rows]

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]:
        rows = await self._read(statements("reading")["forks"], list(roots)) if roots else ()
        return [run_row(*row) for row in rows]


def _spelled(branch: Branch) -> str:
    """What must hold, as PostgreSQL reads it; its values follow the one of LIMIT."""
    text = (" AND ".join(branch.conditions) or "true").replace("{open}", "true")
    for number, value in enumerate(branch.values, 2):
        text = text.replace("{}", f"${number}::{'bigint' if isinstance(value, int) else 'text'}", 1)
    return text


def _rows(found: Sequence[Any]) -> RunRows:
    """All rows of one run, its own first, then tasks, then hooks, both ascending."""
    _, _, _, token, owner, body, changes = found[0]
    rows = RunRows(run_row(token, owner, body, changes), {}, {})
    for _, kind, number, _, _, body, changes in found[1:]:
        if kind == _TASK:
            rows.tasks[number] = task_row(body, changes)
        else:
            rows.hooks[number] = hook_row(body, changes)
    return rows


def run_row(token: Token, owner: int, body: bytes, changes: bytes) -> RunRow:
    row = decode_run(body)
    if changes:
        patch_run(row, decode_run_patch(changes))
    row.token = token
    row.claimed = 0 if owner == row.owner else owner
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
