"""Crons, templates and executor schemas: what changes rarely and is written alone.

In: rows. Out: tokens and verdicts. Never: a transaction of its own: the caller begins and commits.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import apsw

from ....errors import TokenMismatch
from ....record import CronRow, SchemaRow, TemplateRow, Token
from .rows import decode_cron, encode
from .sql import statements
from .writer import Writer

_SQL = statements("definitions")


class DefinitionWriter:
    def __init__(self, db: apsw.Connection, writer: Writer) -> None:
        self._db = db
        self._writer = writer

    def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        found: Any = self._db.execute(_SQL["cron"], (row.cron_id,)).fetchall()
        held = decode_cron(found[0][0]) if found else None
        if (None if held is None else held.token) != expected:
            raise TokenMismatch(f"cron '{row.cron_id}' is not as it was at {expected}")
        kept = copy(row)
        kept.token = self._writer.next_token()
        if held is not None:
            kept.created_at = held.created_at
        self._db.execute(_SQL["put_cron"], (row.cron_id, kept.token, encode(kept)))
        return kept.token

    def delete_cron(self, cron_id: str) -> bool:
        return bool(self._db.execute(_SQL["delete_cron"], (cron_id,)).fetchall())

    def put_template(self, row: TemplateRow) -> None:
        values = (row.name, row.version, row.created_at, row.document)
        if not self._db.execute(_SQL["put_template"], values).fetchall():
            raise TokenMismatch(f"template '{row.name}@{row.version}' exists already")

    def delete_template(self, name: str, version: str) -> bool:
        return bool(self._db.execute(_SQL["delete_template"], (name, version)).fetchall())

    def put_schema(self, row: SchemaRow) -> None:
        self._db.execute(_SQL["put_schema"], (row.worker_id, row.type, row.schema))

    def delete_schemas(self, executor_type: str, worker_id: str) -> int:
        return len(self._db.execute(_SQL["delete_schemas"], (executor_type, worker_id)).fetchall())
