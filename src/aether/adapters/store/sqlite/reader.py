"""Reads, each from one moment, on a connection of its own.

In: ids and queries. Out: rows, fresh from the file. Never: a write, or a wait for the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import msgspec
from msgspec import json

from ....ports import DueRun, LogEntry, Page, RunQuery
from ....record import CronRow, RunRow, RunRows, SchemaRow, TemplateRow, Token
from ...listings import FEW, Branch, Gathering, branches, few, in_order, within
from .faults import translated
from .rows import decode_cron, decode_hook, decode_run, decode_task
from .sql import statements

_READ = statements("reading")
_DEFINED = statements("definitions")
_FORKS = statements("forks")
_PAYLOADS = statements("payloads")
_CLUSTER = statements("cluster")


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

    def payloads(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        with self._one_moment:
            found = {digest: self._one(_PAYLOADS["payload"], (digest,)) for digest in digests}
        return {digest: each[0] for digest, each in found.items() if each is not None}

    def unfinished(self, after: str, limit: int) -> list[DueRun]:
        """Those of all sessions, of which there are few, merged."""
        with self._one_moment:
            each = [self._held_by(owner, after, limit) for owner in self._owners()]
        found = merge(*each, key=lambda run: run.run_id)
        return list(islice(found, limit))

    def _owners(self, start: int = 0) -> Iterator[int]:
        while found := self._one(_CLUSTER["first_owner"], (start,)):
            yield found[0]
            start = found[0] + 1

    def _held_by(self, owner: int, after: str, limit: int) -> list[DueRun]:
        return [DueRun(*row) for row in self._all(_CLUSTER["held_runs"], (owner, after, limit))]

    def held_runs(
        self, chosen: Callable[[int], bool], after: DueRun | None, limit: int
    ) -> list[DueRun]:
        """Unfinished runs of the sessions that are `chosen`, by session, then id."""
        found: list[DueRun] = []
        start, behind = (0, "") if after is None else (after.owner, after.run_id)
        with self._one_moment:
            for owner in self._owners(start):
                if len(found) >= limit:
                    break
                if chosen(owner):
                    first = behind if owner == start else ""
                    found += self._held_by(owner, first, limit - len(found))
        return found

    def tokens(self, run_ids: Sequence[str]) -> list[Token | None]:
        rows = self._all(_CLUSTER["tokens"], (json.encode(list(run_ids)).decode(),))
        found: dict[str, Token] = dict(rows)
        return [found.get(run_id) for run_id in run_ids]

    def answers(self, run_id: str, keys: Sequence[str]) -> list[bytes | None]:
        rows = [self._one(_CLUSTER["answer"], (run_id, key)) for key in keys]
        return [None if row is None else row[0] for row in rows]

    def runs(self, query: RunQuery) -> Page:
        gathering = Gathering(query)
        with self._one_moment:
            few_of_them = self._few(query)
            while True:
                asked = gathering.wanted
                if few_of_them is not None:
                    rows = self._branch("few_runs", few_of_them, gathering, asked)
                else:
                    rows = self._branches(gathering, asked)
                page = gathering.read(rows, asked)
                if page is not None:
                    return page

    def _few(self, query: RunQuery) -> Branch | None:
        branch = few(query)
        if branch is None:
            return None
        conditions, values = _spelled(branch)
        text = _READ["count_runs"].format(index=branch.through, conditions=conditions)
        return branch if self._one(text, (*values, FEW + 1))[0] <= FEW else None

    def _branches(self, gathering: Gathering, most: int) -> list[RunRow]:
        found: list[RunRow] = []
        ways = branches(gathering.query)
        for way in ways:
            name = "labelled_runs" if way.through == "run_label" else "runs"
            found += self._branch(name, way, gathering, most)
        return found if len(ways) == 1 else in_order(found, gathering.query, most)

    def _branch(
        self, statement: str, branch: Branch, gathering: Gathering, most: int
    ) -> list[RunRow]:
        query = gathering.query
        conditions, values = _spelled(within(branch, query, gathering.behind))
        order = "DESC" if query.newest_first else "ASC"
        text = _READ[statement].format(index=branch.through, conditions=conditions, order=order)
        return [self._whole(*each) for each in self._all(text, (*values, most))]

    def history(self, run_id: str, after_seq: int, limit: int) -> list[LogEntry]:
        found: list[LogEntry] = []
        with self._one_moment:
            for number, upto in reversed(self._all(_FORKS["log_parts"], (run_id,))):
                asked = (number, after_seq, upto, limit - len(found))
                found += [LogEntry(*each) for each in self._all(_READ["history"], asked)]
        return found

    def forks(self, roots: Sequence[str]) -> list[RunRow]:
        named = msgspec.json.encode(list(roots)).decode()
        with self._one_moment:
            return [self._whole(*each) for each in self._all(_FORKS["forks"], (named,))]

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


def _spelled(branch: Branch) -> tuple[str, tuple[Any, ...]]:
    """What must hold, as SQLite reads it."""
    conditions = (" AND ".join(branch.conditions) or "1").replace("{open}", "1")
    return conditions.replace("{}", "?"), branch.values
