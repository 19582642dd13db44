"""The engine's calls about what is stored beside runs: crons, templates, executor schemas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from ..document import CronWorkflow, WorkflowTemplate
from ..errors import InvalidDocument, InvalidState, NotSupported, Problem, Refused
from ..ports import CronExecution, FireAnswer, Schema, Store
from ..record import Instant, SchemaRow, encode_json
from .crons import Crons
from .documents import Documents, Submittable
from .templates import Templates

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Catalog:
    """The half of `Engine` that is not about single runs; `Engine` sets these members."""

    _store: Store
    _documents: Documents
    _templates: Templates
    _crons: Crons | None
    _schemas: dict[str, Schema]
    _started: bool
    _stopped: bool

    # Executors

    async def register_schema(self, schema: Schema, worker_id: str = "") -> None:
        """Announce an executor type: submits are checked against it, and it survives a restart."""
        self._schemas[schema.type] = schema
        self._documents.forget()
        if self._started:
            await self._store.put_schema(
                SchemaRow(worker_id=worker_id, type=schema.type, schema=encode_json(schema))
            )

    async def unregister_schemas(self, worker_id: str) -> None:
        """A worker has left: what only it served is not served any more."""
        await self._store.delete_schemas(worker_id=worker_id)
        self._schemas.clear()
        for row in await self._store.schemas():
            self._schemas[row.type] = msgspec.json.decode(row.schema, type=Schema)
        self._documents.forget()

    # Crons

    async def submit_cron(
        self, document: Submittable, *, cron_id: str = "", lenient: bool = False
    ) -> str:
        crons = self._need_crons("submit_cron")
        return await crons.submit_cron(await self._cron_document(document, lenient), cron_id)

    async def get_cron(self, cron_id: str) -> CronExecution:
        return await self._need_crons("get_cron").get_cron(cron_id)

    async def get_cron_document(self, cron_id: str) -> CronWorkflow:
        """As it was submitted or last updated."""
        return await self._need_crons("get_cron_document").get_document(cron_id)

    async def list_crons(self) -> Sequence[CronExecution]:
        return await self._need_crons("list_crons").list_crons()

    async def update_cron(
        self, cron_id: str, document: Submittable, *, lenient: bool = False
    ) -> None:
        crons = self._need_crons("update_cron")
        await crons.update_cron(cron_id, await self._cron_document(document, lenient))

    async def delete_cron(self, cron_id: str) -> None:
        await self._need_crons("delete_cron").delete_cron(cron_id)

    async def suspend_cron(self, cron_id: str) -> None:
        await self._need_crons("suspend_cron").suspend_cron(cron_id)

    async def resume_cron(self, cron_id: str) -> None:
        await self._need_crons("resume_cron").resume_cron(cron_id)

    async def trigger_cron(self, cron_id: str, at: datetime | None = None) -> FireAnswer:
        crons = self._need_crons("trigger_cron")
        return await crons.trigger_cron(cron_id, None if at is None else _instant(at))

    async def backfill_cron(
        self, cron_id: str, start: datetime, end: datetime
    ) -> Sequence[FireAnswer]:
        crons = self._need_crons("backfill_cron")
        return await crons.backfill_cron(cron_id, _instant(start), _instant(end))

    # Templates

    async def put_template(self, document: Submittable, *, lenient: bool = False) -> str:
        """Store a WorkflowTemplate, and return it as `name@version`."""
        checked = await self._documents.check(document, lenient=lenient)
        if not isinstance(checked.document, WorkflowTemplate):
            raise _not_a(checked.document.kind, "WorkflowTemplate", "submit")
        name, version = await self._templates.put_template(checked.document)
        self._documents.forget()
        return f"{name}@{version}"

    async def get_template(self, name: str, version: str = "") -> WorkflowTemplate:
        return await self._templates.get_template(name, version)

    async def list_templates(self, name: str = "") -> Sequence[str]:
        """Every stored version as `name@version`, by name, then oldest first."""
        return [f"{row.name}@{row.version}" for row in await self._templates.list_templates(name)]

    async def delete_template(self, name: str, version: str = "") -> int:
        """Runs that use it keep what they began with. Without a version all of them go."""
        self._documents.forget()
        return await self._templates.delete_template(name, version)

    # Inside

    async def _cron_document(self, document: Submittable, lenient: bool) -> CronWorkflow:
        checked = await self._documents.check(document, lenient=lenient)
        if not isinstance(checked.document, CronWorkflow):
            raise _not_a(checked.document.kind, "CronWorkflow", "submit")
        return checked.document

    def _need_crons(self, call: str) -> Crons:
        self._must_run(call)
        if self._crons is None:
            raise NotSupported(
                Problem(
                    "no-cron-scheduler",
                    f"{call} needs a cron scheduler, and this engine has none",
                    fix="Engine(cron_scheduler=CronsimScheduler(clock), …)",
                )
            )
        return self._crons

    def _must_run(self, call: str) -> None:
        if not self._started or self._stopped:
            if self._stopped:
                state, fix = "has been stopped", "make a new engine over the same store"
            else:
                state, fix = "has not been started", "await engine.start() first"
            raise InvalidState(
                Problem(
                    "not-started",
                    f"{call} needs a running engine, and this one {state}",
                    fix=fix,
                )
            )


def _not_a(kind: str, wanted: str, call: str) -> InvalidDocument:
    return InvalidDocument(
        Problem("wrong-kind", f"this is a {kind}, not a {wanted}", fix=f"hand it to {call}(…)")
    )


def _instant(at: datetime) -> Instant:
    if at.tzinfo is None:
        raise Refused(
            Problem(
                "naive-datetime",
                f"{at.isoformat()} has no time zone",
                fix="give an aware datetime, such as datetime(…, tzinfo=UTC)",
            )
        )
    return (at - _EPOCH) // _MICROSECOND
