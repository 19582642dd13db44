"""What a memory store keeps beside runs: crons, templates, executor schemas."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from ....errors import TokenMismatch
from ....record import CronRow, SchemaRow, TemplateRow, Token


class Definitions:
    def __init__(self) -> None:
        self._last_token: Token = 0
        self._crons: dict[str, CronRow] = {}
        self._templates: dict[str, dict[str, TemplateRow]] = {}
        self._schemas: dict[tuple[str, str], SchemaRow] = {}

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        held = self._crons.get(row.cron_id)
        if (None if held is None else held.token) != expected:
            raise TokenMismatch(f"cron '{row.cron_id}' is not as it was at {expected}")
        self._last_token += 1
        kept = copy(row)
        kept.token = self._last_token
        if held is not None:
            kept.created_at = held.created_at
        self._crons[row.cron_id] = kept
        return kept.token

    async def cron(self, cron_id: str) -> CronRow | None:
        held = self._crons.get(cron_id)
        return None if held is None else copy(held)

    async def crons(self) -> Sequence[CronRow]:
        return [copy(self._crons[cron_id]) for cron_id in sorted(self._crons)]

    async def delete_cron(self, cron_id: str) -> bool:
        return self._crons.pop(cron_id, None) is not None

    async def put_template(self, row: TemplateRow) -> None:
        versions = self._templates.setdefault(row.name, {})
        if row.version in versions:
            raise TokenMismatch(f"template '{row.name}@{row.version}' exists already")
        versions[row.version] = copy(row)

    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        versions = self._oldest_first(name)
        if version:
            versions = [row for row in versions if row.version == version]
        return copy(versions[-1]) if versions else None

    async def templates(self, name: str = "") -> Sequence[TemplateRow]:
        names = [name] if name else sorted(self._templates)
        return [copy(row) for each in names for row in self._oldest_first(each)]

    def _oldest_first(self, name: str) -> list[TemplateRow]:
        # The sort is stable: of two versions of one instant the one put later stays later.
        versions = self._templates.get(name, {})
        return sorted(versions.values(), key=lambda row: row.created_at)

    async def delete_template(self, name: str, version: str) -> bool:
        versions = self._templates.get(name, {})
        existed = versions.pop(version, None) is not None
        if existed and not versions:
            del self._templates[name]
        return existed

    async def put_schema(self, row: SchemaRow) -> None:
        self._schemas[row.worker_id, row.type] = copy(row)

    async def schemas(self) -> Sequence[SchemaRow]:
        return [copy(self._schemas[key]) for key in sorted(self._schemas)]

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        gone = [
            key
            for key in self._schemas
            if worker_id in ("", key[0]) and executor_type in ("", key[1])
        ]
        for key in gone:
            del self._schemas[key]
        return len(gone)
