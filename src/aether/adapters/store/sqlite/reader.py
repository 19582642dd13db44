"""Reads, each from one moment, on a connection of its own.

In: ids and queries. Out: rows, fresh from the file. Never: a write, or a wait for the writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

from ....ports import DueRun, LogEntry, Page, RunQuery
from ....record import CronRow, Phase, RunRow, RunRows, SchemaRow, TemplateRow
from ...store_rules import place, read_cursor, write_cursor
from .faults import translated
from .rows import decode_cron, decode_hook, decode_run, decode_task
from .sql import statements

_READ = statements("reading")
_DEFINED = statements("definitions")
_UNSUCCESSFUL = {Phase.FAILED, Phase.ERROR, Phase.TIMEOUT, Phase.CANCELLED}


class TooMany(Exception):
    """The run has more rows than a call may read on the event loop."""


class _OneMoment:
    """All that is read inside stems from one commit. Also quicker: the file is locked once."""

    __slots__ = ("_db", "_path")

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def __enter__(self) -> None:
        with translated(self._path):
            self._db.execute("BEGIN")

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if exc is None:
            with translated(self._path):
                self._db.execute("COMMIT")
        elif self._db.in_transaction:
            with suppress(apsw.Error):  # what went wrong is on its way to the caller
                self._db.execute("ROLLBACK")


class Reader:
    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._one_moment = _OneMoment(db, path)

    def close(self) -> None:
        self._db.close()

    def _all(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        with translated(self._path):
            return self._db.execute(text, values).fetchall()

    def _one(self, text: str, values: Sequence[Any] = ()) -> Any:
        found = self._all(text, values)
        return found[0] if found else None

    # Runs

    def load(self, run_id: str, most: int = 0) -> RunRows | None:
        """Raises TooMany for a run of more than `most` task runs, if that is not 0."""
        with self._one_moment:
            found = self._one(_READ["run"], (run_id,))
            if found is None:
                return None
            number = found[0]
            rows = RunRows(self._whole(*found))
            if most and rows.run.total > most:
                raise TooMany
            tasks, hooks = rows.tasks, rows.hooks
            for ordinal, body in self._all(_READ["tasks"], (number,)):
                tasks[ordinal] = decode_task(body)
            for hook, body in self._all(_READ["hooks"], (number,)):
                hooks[hook] = decode_hook(body)
        return rows

    def run(self, run_id: str) -> RunRow | None:
        with self._one_moment:
            found = self._one(_READ["run"], (run_id,))
            return None if found is None else self._whole(*found)

    def _whole(self, number: int, large: int, body: bytes) -> RunRow:
        row = decode_run(body)
        if large:
            row.arguments, row.variables = self._one(_READ["input"], (number,))
        return row

    def document(self, digest: bytes) -> bytes | None:
        found = self._one(_READ["document"], (digest,))
        return None if found is None else found[0]

    def unfinished(self, after: str, limit: int) -> list[DueRun]:
        return [DueRun(*found) for found in self._all(_READ["unfinished"], (after, limit))]

    def runs(self, query: RunQuery) -> Page:
        start = read_cursor(query.after)
        index, conditions, values = _conditions(query)
        if start is not None:
            sign = "<" if query.newest_first else ">"
            conditions.append(f"(created_at, run_id) {sign} (?, ?)")
            values += start
        text = _READ["runs"].format(
            index=index,
            conditions=" AND ".join(conditions) or "1",
            order="DESC" if query.newest_first else "ASC",
        )
        with self._one_moment:
            rows = self._all(text, (*values, query.limit + 1))
            found = [self._whole(*each) for each in rows]
        if len(found) <= query.limit:
            return Page(found)
        del found[query.limit :]
        return Page(found, write_cursor(place(found[-1])))

    def history(self, run_id: str, after_seq: int, limit: int) -> list[LogEntry]:
        found = self._all(_READ["history"], (run_id, after_seq, limit))
        return [LogEntry(*each) for each in found]

    # Definitions

    def cron(self, cron_id: str) -> CronRow | None:
        found = self._one(_DEFINED["cron"], (cron_id,))
        return None if found is None else decode_cron(found[0])

    def crons(self) -> list[CronRow]:
        return [decode_cron(body) for (body,) in self._all(_DEFINED["crons"])]

    def template(self, name: str, version: str) -> TemplateRow | None:
        if version:
            found = self._one(_DEFINED["template"], (name, version))
        else:
            found = self._one(_DEFINED["newest_template"], (name,))
        return None if found is None else _template(found)

    def templates(self, name: str) -> list[TemplateRow]:
        return [_template(found) for found in self._all(_DEFINED["templates"], (name,))]

    def schemas(self) -> list[SchemaRow]:
        return [
            SchemaRow(worker_id=worker_id, type=executor_type, schema=schema)
            for worker_id, executor_type, schema in self._all(_DEFINED["schemas"])
        ]


def _template(found: Sequence[Any]) -> TemplateRow:
    name, version, document, created_at = found
    return TemplateRow(name=name, version=version, document=document, created_at=created_at)


def _conditions(query: RunQuery) -> tuple[str, list[str], list[Any]]:
    """The index that serves a query best, and what must hold. An index that holds a part of the runs
    is chosen only with its own condition spelled out, word for word."""
    index, conditions, values = "run_by_creation", [], []
    phases = set(query.phases)
    if query.cron_id:
        index = "run_by_cron"
        conditions += ["cron_id <> ''", "cron_id = ?"]
        values.append(query.cron_id)
    elif phases and not any(phase.is_terminal for phase in phases):
        index = "run_open"
        conditions.append("open = 1")
    elif phases and phases <= _UNSUCCESSFUL:
        index = "run_unsuccessful"
        conditions.append("phase IN ('Failed', 'Error', 'Timeout', 'Cancelled')")
    elif query.name:
        index = "run_by_name"
    if phases:
        conditions.append(f"phase IN ({', '.join('?' * len(phases))})")
        values += sorted(phase.value for phase in phases)
    for column, value in (("name", query.name), ("namespace", query.namespace)):
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    return index, conditions, values
