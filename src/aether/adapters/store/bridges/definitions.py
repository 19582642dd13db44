"""Crons, templates and schemas of a store on record calls: one call each, so nothing to bridge."""

from __future__ import annotations

from collections.abc import Sequence

from ....errors import NotFound, TokenMismatch
from ....ports import Records
from ....record import CronRow, SchemaRow, TemplateRow, Token
from .shapes import cron_patch


class DefinitionsOverRecords:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        if expected is None:
            return (await self._records.create_cron(row)).token
        try:
            kept = await self._records.update_cron(row.cron_id, cron_patch(row), expected)
        except NotFound as exc:
            raise TokenMismatch(f"cron '{row.cron_id}' is gone") from exc
        return kept.token

    async def cron(self, cron_id: str) -> CronRow | None:
        try:
            return await self._records.get_cron(cron_id)
        except NotFound:
            return None

    async def crons(self) -> Sequence[CronRow]:
        return await self._records.list_crons()

    async def delete_cron(self, cron_id: str) -> bool:
        try:
            await self._records.delete_cron(cron_id)
        except NotFound:
            return False
        return True

    async def put_template(self, row: TemplateRow) -> None:
        await self._records.create_template(row)

    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        rows = await self._records.list_templates(name)
        fitting = [row for row in rows if version in ("", row.version)]
        return fitting[-1] if fitting else None

    async def templates(self, name: str = "") -> Sequence[TemplateRow]:
        return await self._records.list_templates(name)

    async def delete_template(self, name: str, version: str) -> bool:
        try:
            await self._records.delete_template(name, version)
        except NotFound:
            return False
        return True

    async def put_schema(self, row: SchemaRow) -> None:
        await self._records.upsert_schema(row)

    async def schemas(self) -> Sequence[SchemaRow]:
        return await self._records.list_schemas()

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        return await self._records.delete_schemas(executor_type, worker_id)
