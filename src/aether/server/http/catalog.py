"""Routes of crons and templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from ...ports import CronExecution, FireAnswer
from ..instants import instant_of, moment
from .access import Principal
from .messages import Request, Response, answer, tagged
from .runs import _Body
from .services import Services
from .views import Deleted, Names, without_values


class Document(_Body):
    """A document, as a tree or as text. A body that is a document itself is taken as one."""

    document: dict[str, Any] | str
    lenient: bool = False


class Trigger(_Body):
    """The instant that the fire is for; now without one."""

    at: datetime | None = None


class Backfill(_Body):
    start: datetime
    end: datetime


class TemplateQuery(_Body):
    name: str = ""


class VersionQuery(_Body):
    """Without a version: the latest one; all of them for a delete."""

    version: str = ""


class CronCreated(msgspec.Struct, kw_only=True, rename="camel"):
    cron_id: str


class TemplateStored(msgspec.Struct, kw_only=True):
    """`name@version`, as documents refer to it."""

    reference: str


class Fire(msgspec.Struct, kw_only=True, rename="camel"):
    """What became of one fire: the run, or the reason why there is none."""

    cron_id: str
    fire_at: datetime | None
    run_id: str = ""
    reason: str = ""


def _fire(told: FireAnswer) -> Fire:
    return Fire(
        cron_id=told.cron_id, fire_at=moment(told.fire_at), run_id=told.run_id, reason=told.reason
    )


def _shown(cron: CronExecution, who: Principal) -> CronExecution:
    if who.may("values"):
        return cron
    return replace(cron, runs=[without_values(run) for run in cron.runs])


async def submit_cron(services: Services, request: Request) -> Response:
    body: Document = request.body
    made = await services.control.submit_cron(body.document, lenient=body.lenient)
    return answer(CronCreated(cron_id=made), 201, {"location": f"/crons/{made}"})


async def list_crons(services: Services, request: Request) -> Response:
    crons = await services.control.list_crons()
    return answer([_shown(cron, request.who) for cron in crons])


async def get_cron(services: Services, request: Request) -> Response:
    cron = await services.control.get_cron(request.names["cron"])
    return tagged(_shown(cron, request.who), request)


async def update_cron(services: Services, request: Request) -> Response:
    body: Document = request.body
    await services.control.update_cron(request.names["cron"], body.document, lenient=body.lenient)
    return Response(status=204)


async def delete_cron(services: Services, request: Request) -> Response:
    await services.control.delete_cron(request.names["cron"])
    return Response(status=204)


async def pause_cron(services: Services, request: Request) -> Response:
    await services.control.suspend_cron(request.names["cron"])
    return Response(status=204)


async def unpause_cron(services: Services, request: Request) -> Response:
    await services.control.resume_cron(request.names["cron"])
    return Response(status=204)


async def trigger_cron(services: Services, request: Request) -> Response:
    at = request.body.at
    told = await services.control.trigger_cron(request.names["cron"], at and _aware(at))
    return answer(_fire(told))


async def backfill_cron(services: Services, request: Request) -> Response:
    body: Backfill = request.body
    told = await services.control.backfill_cron(
        request.names["cron"], _aware(body.start), _aware(body.end)
    )
    return answer([_fire(each) for each in told])


def _aware(at: datetime) -> datetime:
    """Times without a zone are UTC, here as everywhere."""
    return moment(instant_of(at)) or at


async def put_template(services: Services, request: Request) -> Response:
    body: Document = request.body
    stored = await services.control.put_template(body.document, lenient=body.lenient)
    return answer(TemplateStored(reference=stored), 201)


async def list_templates(services: Services, request: Request) -> Response:
    return answer(Names(names=list(await services.control.list_templates(request.query.name))))


async def get_template(services: Services, request: Request) -> Response:
    found = await services.control.get_template(request.names["template"], request.query.version)
    return tagged(found, request)


async def delete_template(services: Services, request: Request) -> Response:
    name, version = request.names["template"], request.query.version
    return answer(Deleted(deleted=await services.control.delete_template(name, version)))
