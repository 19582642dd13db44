"""What a PostgreSQL store keeps beside runs: crons, templates, executor schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from ....errors import Problem, Refused, TokenMismatch
from ....record import CronRow, SchemaRow, TemplateRow, Token
from .connections import BadValue, Connections
from .sql import statements

_encode = msgspec.msgpack.Encoder().encode
_decode_cron = msgspec.msgpack.Decoder(CronRow).decode


def refuse(error: BadValue) -> NoReturn:
    raise Refused(
        Problem("bad-value", f"PostgreSQL cannot keep this: {error}", fix="use other text")
    ) from error


class Definitions:
    _connections: Connections

    async def _ask(self, statement: str, *values: Any) -> Sequence[Any]:
        try:
            return await self._connections.ask(statements("definitions")[statement], *values)
        except BadValue as error:
            refuse(error)

    async def _write(self, statement: str, *values: Any) -> Any:
        try:
            return await self._connections.write(statements("definitions")[statement], *values)
        except BadValue as error:
            refuse(error)

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        body = _encode(row)
        if expected is None:
            token = await self._write("add_cron", row.cron_id, row.created_at, body)
        else:
            token = await self._write("replace_cron", row.cron_id, expected, body)
        if token is None:
            raise TokenMismatch(f"cron '{row.cron_id}' is not as it was at {expected}")
        return int(token)

    async def cron(self, cron_id: str) -> CronRow | None:
        rows = await self._ask("cron", cron_id)
        return _cron(rows[0]) if rows else None

    async def crons(self) -> Sequence[CronRow]:
        return [_cron(row) for row in await self._ask("crons")]

    async def delete_cron(self, cron_id: str) -> bool:
        return await self._write("delete_cron", cron_id) is not None

    async def put_template(self, row: TemplateRow) -> None:
        values = row.name, row.version, row.created_at, row.document
        if await self._write("put_template", *values) is None:
            raise TokenMismatch(f"template '{row.name}@{row.version}' exists already")

    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        if version:
            rows = await self._ask("template", name, version)
        else:
            rows = await self._ask("newest_template", name)
        return _template(rows[0]) if rows else None

    async def templates(self, name: str = "") -> Sequence[TemplateRow]:
        return [_template(row) for row in await self._ask("templates", name)]

    async def delete_template(self, name: str, version: str) -> bool:
        return await self._write("delete_template", name, version) is not None

    async def put_schema(self, row: SchemaRow) -> None:
        await self._write("put_schema", row.worker_id, row.type, row.schema)

    async def schemas(self) -> Sequence[SchemaRow]:
        rows = await self._ask("schemas")
        return [
            SchemaRow(worker_id=worker_id, type=executor_type, schema=schema)
            for worker_id, executor_type, schema in rows
        ]

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        return int(await self._write("delete_schemas", executor_type, worker_id))


def _cron(row: Any) -> CronRow:
    created_at, token, body = row
    cron = _decode_cron(body)
    cron.created_at, cron.token = created_at, token
    return cron


def _template(row: Any) -> TemplateRow:
    name, version, document, created_at = row
    return TemplateRow(name=name, version=version, document=document, created_at=created_at)
