"""Routes of runs: submit, look, wait, steer, go on from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace

from ...document import load
from ...errors import NotFound, Problem, Refused, WaitTimeout
from ...ports import Execution
from ...record import RunRow
from .access import Principal
from .filters import ListQuery, query_of
from .messages import Rejected, Request, Response, answer, bad_request, tagged
from .services import Services
from .spans import seconds
from .views import RunCreated, RunPage, RunResult, summary, without_values

REQUEST_LABEL = "aether/request"
"""The label under which a run remembers which request made it, where that had an idempotency key."""
_TRIES, _NAP = 200, 10_000  # microseconds


class _Body(
    msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    pass


class Submit(_Body):
    """A document (a tree, or its text in JSON or YAML, or `name@version` of a stored template) and what its run
    is given. A body that is a document itself is taken as one."""

    document: dict[str, Any] | str
    arguments: dict[str, Any] = {}
    run_id: str = ""
    labels: dict[str, str] = {}
    lenient: bool = False
    tier: str = ""


class Cancel(_Body):
    force: bool = False


class Nothing(_Body):
    """No member at all."""


class Resume(_Body):
    """`payload` joins the inputs of the suspended task."""

    task_run_id: str
    payload: dict[str, Any] = {}


class ForkBody(_Body):
    """Where the fork begins, one of `fromTask` and `fromSeq`, and what is different from there."""

    from_task: str = ""
    from_seq: int | None = None
    set: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    run_id: str = ""


class Retry(_Body):
    run_id: str = ""


class GetQuery(_Body):
    """`seq`: as the run stood after that decision."""

    seq: int | None = None


class WaitQuery(_Body):
    """How long to wait for the end, such as `30s`."""

    wait: str = ""


class LogQuery(_Body):
    after: int = 0
    limit: int = 1000


class DiffQuery(_Body):
    """The other run, and the decisions after which to look; without `with`, one run at two steps."""

    with_: str = msgspec.field(default="", name="with")
    at: int | None = None
    with_at: int | None = None


async def submit(services: Services, request: Request) -> Response:
    body: Submit = request.body
    check_namespace(request.who, body.document)
    run_id, labels = keyed(request, body.run_id, body.labels)

    async def begin() -> str:
        return await services.control.submit(
            body.document,
            body.arguments,
            run_id=run_id,
            labels=labels or None,
            lenient=body.lenient,
            tier=body.tier,
        )

    return await created(services, request, run_id, labels, begin)


async def created(
    services: Services, request: Request, run_id: str, labels: Mapping[str, str], begin: Any
) -> Response:
    """The answer to a request that makes a run; the same again where its key was seen before."""
    status = 201
    try:
        made = await begin()
    except Refused as error:
        if error.code != "run-exists" or "idempotency-key" not in request.headers:
            raise
        row = await _appeared(services, run_id)
        if (row.labels or {}).get(REQUEST_LABEL) != labels[REQUEST_LABEL]:
            raise Rejected(
                409,
                Problem(
                    "idempotency-conflict",
                    "this idempotency key was used for another request",
                    fix="send each request with a key of its own, and only repeats with the same",
                ),
            ) from error
        status, made = 200, run_id
    return answer(RunCreated(run_id=made), status, {"location": f"/runs/{made}"})


def keyed(request: Request, run_id: str, labels: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The id and labels of a run that is to be made once for each key."""
    key = request.headers.get("idempotency-key", "")
    labels = dict(labels)
    if not key:
        return run_id, labels
    if len(key) > 200:
        raise bad_request("the idempotency key is longer than 200 characters")
    digest = blake2b(digest_size=16)
    digest.update(msgspec.json.encode([request.who.token_id, request.path, key]))
    labels[REQUEST_LABEL] = blake2b(
        msgspec.json.encode([request.path, request.body]), digest_size=16
    ).hexdigest()
    return run_id or f"k-{digest.hexdigest()}", labels


async def _appeared(services: Services, run_id: str) -> RunRow:
    """The run that another request with the same key is making at this moment."""
    for _ in range(_TRIES):
        try:
            return await services.control.header(run_id)
        except NotFound:
            passed = asyncio.Event()
            services.clock.call_in(_NAP, passed.set)
            await passed.wait()
    return await services.control.header(run_id)


def check_namespace(who: Principal, document: Any) -> None:
    """Somebody who sees some namespaces only can put nothing into others."""
    if not who.namespaces:
        return
    if isinstance(document, str) and "\n" not in document and "{" not in document:
        document = {}
    data = load(document, "").data if isinstance(document, str) else document
    metadata = data.get("metadata") if isinstance(data, dict) else None
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    if not who.sees(namespace if isinstance(namespace, str) and namespace else "default"):
        raise Rejected(
            403,
            Problem(
                "not-permitted",
                f"token '{who.name}' is for {', '.join(who.namespaces)}, and not for this namespace",
                fix="set metadata.namespace, or use another token",
            ),
        )


async def list_runs(services: Services, request: Request) -> Response:
    asked: ListQuery = request.query
    if asked.order not in ("newest", "oldest"):
        raise bad_request(f"there is no order '{asked.order}'", "newest or oldest")
    if not 1 <= asked.limit <= services.limits.page:
        raise bad_request(f"a page has 1 to {services.limits.page} runs", "limit=100")
    query = replace(
        query_of(asked, request.who, services.clock.now()),
        newest_first=asked.order == "newest",
        after=asked.after,
        limit=asked.limit,
    )
    page = await services.control.list(query)
    rows = [row for row in page.runs if request.who.sees(row.namespace)]
    reasons = await why(services, rows) if asked.waiting else {}
    runs = [summary(row, reasons.get(row.run_id)) for row in rows]
    return answer(RunPage(runs=runs, cursor=page.cursor))


async def why(services: Services, rows: list[RunRow]) -> dict[str, list[str]]:
    """Why those that are not over wait."""
    found = {}
    for row in rows:
        if not row.phase.is_terminal:
            try:
                found[row.run_id] = (await services.control.get(row.run_id)).waiting_for
            except NotFound:
                continue  # it was deleted meanwhile
    return found


def shown(execution: Execution, who: Principal) -> Execution:
    return execution if who.may("values") else without_values(execution)


async def get(services: Services, request: Request) -> Response:
    seq = request.query.seq
    run_id = request.names["run"]
    if seq is None:
        execution = await services.control.get(run_id)
    else:
        execution = await services.control.at(run_id, seq)
    return tagged(shown(execution, request.who), request)


async def document(services: Services, request: Request) -> Response:
    text = await services.control.document_of(request.names["run"])
    return Response(body=text, media="application/json" if text[:1] == b"{" else "text/plain")


async def result(services: Services, request: Request) -> Response:
    """200 with the result once the run is over; 202 with why it waits when the time is up before."""
    wait = seconds(request.query.wait, "wait", services.limits.wait)
    run_id = request.names["run"]
    waiting = asyncio.ensure_future(_ended(services, run_id, wait))
    drained = asyncio.ensure_future(services.draining.wait())
    execution: Execution | None = None
    try:
        await asyncio.wait((waiting, drained), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            execution = waiting.result()
    except WaitTimeout:
        pass
    finally:
        waiting.cancel()
        drained.cancel()
    if execution is None:
        execution = await services.control.get(run_id)
    execution = shown(execution, request.who)
    view = RunResult(
        run_id=execution.run_id,
        status=execution.status,
        message=execution.message,
        outputs=execution.outputs,
        waiting_for=execution.waiting_for,
    )
    return answer(view, 200 if execution.status.is_terminal else 202)


async def _ended(services: Services, run_id: str, wait: float) -> Execution:
    """The run when it is over, or the last of those that a function was continued as."""
    execution = await services.control.wait(run_id, wait)
    if execution.kind == "document":
        return execution
    end = await services.control.end(run_id, wait)
    return execution if end.run_id == run_id else await services.control.get(end.run_id)


async def cancel(services: Services, request: Request) -> Response:
    await services.control.cancel(request.names["run"], request.who.by, force=request.body.force)
    return Response(status=204)


async def pause(services: Services, request: Request) -> Response:
    await services.control.pause(request.names["run"], request.who.by)
    return Response(status=204)


async def unpause(services: Services, request: Request) -> Response:
    await services.control.unpause(request.names["run"])
    return Response(status=204)


async def resume(services: Services, request: Request) -> Response:
    body: Resume = request.body
    await services.control.resume(request.names["run"], body.task_run_id, body.payload)
    return Response(status=204)


async def delete(services: Services, request: Request) -> Response:
    await services.control.delete(request.names["run"])
    return Response(status=204)


async def fork(services: Services, request: Request) -> Response:
    body: ForkBody = request.body
    made = await services.control.fork(
        request.names["run"],
        from_task=body.from_task,
        from_seq=body.from_seq,
        set=body.set or None,
        arguments=body.arguments or None,
        run_id=body.run_id,
    )
    return answer(RunCreated(run_id=made), 201, {"location": f"/runs/{made}"})


async def retry(services: Services, request: Request) -> Response:
    made = await services.control.retry(request.names["run"], run_id=request.body.run_id)
    return answer(RunCreated(run_id=made), 201, {"location": f"/runs/{made}"})


async def log(services: Services, request: Request) -> Response:
    asked: LogQuery = request.query
    if not 1 <= asked.limit <= services.limits.page or asked.after < 0:
        raise bad_request(f"a page has 1 to {services.limits.page} steps", "limit=1000&after=0")
    steps = await services.control.log(request.names["run"], asked.after, asked.limit)
    return answer(list(steps))


async def diff(services: Services, request: Request) -> Response:
    asked: DiffQuery = request.query
    run_id = request.names["run"]
    other = asked.with_ or run_id
    await visible(services, request.who, other)
    return answer(await services.control.diff(run_id, other, asked.at, asked.with_at))


async def visible(services: Services, who: Principal, run_id: str) -> None:
    """A run in a namespace that `who` does not see is not there. Raises NotFound."""
    if who.namespaces and not who.sees((await services.control.header(run_id)).namespace):
        raise NotFound(
            Problem(
                "run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id"
            )
        )
