"""Routes about the server and its work as a whole: bulk actions, workers, queues, health, itself."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ...errors import NotFound, Problem
from ...ports import WorkerInfo
from .bulk import RIGHTS, Action, BulkJob
from .filters import RunFilter, is_empty, query_of
from .messages import Request, Response, answer, bad_request
from .runs import ForkBody, WaitQuery, _Body
from .services import Services
from .spans import seconds
from .views import Health, QueueView


class BulkBody(_Body):
    """What to do with every run that the filter finds; `all` to mean every run there is. `fork` says where
    forks begin. A `dryRun` only counts."""

    action: Action
    filter: RunFilter = msgspec.field(default_factory=RunFilter)
    all: bool = False
    dry_run: bool = False
    force: bool = False
    fork: ForkBody | None = None


class Me(msgspec.Struct, kw_only=True):
    """Whom the server takes the caller for."""

    name: str
    rights: list[str]
    namespaces: list[str]


async def start_bulk(services: Services, request: Request) -> Response:
    body: BulkBody = request.body
    right: Any = RIGHTS[body.action]
    services.access.permit(request.who, right)
    if is_empty(body.filter) and not body.all:
        raise bad_request(
            "the filter leaves out nothing: that would be every run there is",
            'give a filter, or say "all": true',
        )
    options: dict[str, Any] = {}
    if body.action == "cancel":
        options = {"force": body.force}
    elif body.action == "fork":
        options = _fork_options(body.fork)
    query = query_of(body.filter, request.who, services.clock.now())
    job, task = services.bulk.start(
        body.action, query, request.who, dry_run=body.dry_run, options=options
    )
    await _until(services, task, request.query)
    return answer(job, 202, {"location": f"/bulk/{job.bulk_id}"})


def _fork_options(fork: ForkBody | None) -> dict[str, Any]:
    if fork is None or bool(fork.from_task) == (fork.from_seq is not None):
        raise bad_request(
            "a fork begins at one point", 'give "fork": {"fromTask": "…"} or {"fromSeq": …}'
        )
    if fork.run_id:
        raise bad_request("one id cannot be that of many runs", "leave fork.runId out")
    return {
        "from_task": fork.from_task,
        "from_seq": fork.from_seq,
        "set": fork.set or None,
        "arguments": fork.arguments or None,
    }


async def get_bulk(services: Services, request: Request) -> Response:
    found = services.bulk.get(request.names["bulk"], request.who)
    if found is None:
        raise NotFound(
            Problem(
                "bulk-not-found",
                f"there is no bulk action '{request.names['bulk']}'",
                fix="they are kept until the server ends; the list of runs shows what was done",
            )
        )
    job, task = found
    await _until(services, task, request.query)
    return answer(job)


async def list_bulk(services: Services, request: Request) -> Response:
    jobs: list[BulkJob] = services.bulk.all(request.who)
    return answer(jobs)


async def _until(services: Services, task: asyncio.Task[None], asked: WaitQuery) -> None:
    """Until the job is done, as long as the caller likes to wait."""
    wait = seconds(asked.wait, "wait", services.limits.wait)
    if wait and not task.done():
        passed = asyncio.Event()
        handle = services.clock.call_in(int(wait * 1_000_000), passed.set)
        waits = [asyncio.ensure_future(each.wait()) for each in (passed, services.draining)]
        await asyncio.wait((task, *waits), return_when=asyncio.FIRST_COMPLETED)
        handle.cancel()
        for each in waits:
            each.cancel()


async def workers(services: Services, request: Request) -> Response:
    return answer(list(await services.control.workers()))


async def queues(services: Services, request: Request) -> Response:
    depths = services.queues()
    there = await services.control.workers()
    types = sorted({*depths, *(each for worker in there for each in worker.executor_types)})
    return answer([_queue(name, depths.get(name, 0), there) for name in types])


def _queue(name: str, depth: int, there: Any) -> QueueView:
    serving: list[WorkerInfo] = [
        worker for worker in there if not worker.executor_types or name in worker.executor_types
    ]
    return QueueView(
        executor_type=name,
        depth=depth,
        workers=len(serving),
        slots=sum(worker.slots for worker in serving),
    )


async def me(services: Services, request: Request) -> Response:
    who = request.who
    rights: list[str] = sorted(right for right in who.rights if right != "open")
    return answer(Me(name=who.name, rights=rights, namespaces=list(who.namespaces)))


async def healthz(services: Services, request: Request) -> Response:
    """The process lives and its loop turns."""
    return answer(Health(status="ok", version=services.version))


async def readyz(services: Services, request: Request) -> Response:
    """Work may be brought: the store answers, and nobody asked the server to stop."""
    if services.draining.is_set():
        return answer(Health(status="draining", version=services.version), 503)
    await services.control.list_templates("")
    return answer(Health(status="ok", version=services.version))
