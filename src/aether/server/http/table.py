"""Every route there is: its path, the right that it needs, what goes in and what comes out.

Requests are judged by this table and nothing else; the OpenAPI document and the tests of who may do what are
made from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ...ports import CronExecution, Difference, Execution, Step, WorkerInfo
from . import catalog, events, functions, operations, pages, runs
from .access import Right
from .bulk import BulkJob
from .filters import ListQuery, RunFilter
from .messages import Request, Response, Stream
from .services import Services
from .views import Answer, Deleted, Health, Names, QueueView, RunCreated, RunPage, RunResult

Handler = Callable[[Services, Request], Awaitable[Response | Stream]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`takes_document`: its body may also be a document itself, in JSON or YAML. `everywhere`: what it is about
    belongs to no namespace, so it is for tokens of all of them. `in_drain`: also answered while the server ends.
    """

    name: str
    method: str
    path: str
    needs: Right
    handler: Handler
    about: str
    group: str = "runs"
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    takes_document: bool = False
    answers: Any = None
    status: int = 200
    media: str = "application/json"
    everywhere: bool = False
    in_drain: bool = True
    keyed: bool = False


def _routes() -> tuple[Route, ...]:
    return (*_runs(), *_functions(), *_catalog(), *_operations(), *_pages())


def _runs() -> list[Route]:
    run = "/runs/{run}"
    return [
        Route(
            name="submitRun", method="POST", path="/runs", needs="write", handler=runs.submit,
            about="Submit a document: begin a run of it.", body=runs.Submit, takes_document=True,
            answers=RunCreated, status=201, in_drain=False, keyed=True,
        ),
        Route(
            name="listRuns", method="GET", path="/runs", needs="look", handler=runs.list_runs,
            about="List runs, page by page.", query=ListQuery, answers=RunPage,
        ),
        Route(
            name="getRun", method="GET", path=run, needs="look", handler=runs.get,
            about="A run as it stands, or stood after one of its decisions.",
            query=runs.GetQuery, answers=Execution,
        ),
        Route(
            name="deleteRun", method="DELETE", path=run, needs="manage", handler=runs.delete,
            about="Forget a run that is over.", status=204,
        ),
        Route(
            name="getRunResult", method="GET", path=f"{run}/result", needs="look",
            handler=runs.result, query=runs.WaitQuery, answers=RunResult,
            about="Wait for the end of a run: 200 with its result, 202 if it is not over in time.",
        ),
        Route(
            name="getRunDocument", method="GET", path=f"{run}/document", needs="values",
            handler=runs.document, about="The document that the run goes by.",
        ),
        Route(
            name="cancelRun", method="POST", path=f"{run}/cancel", needs="steer",
            handler=runs.cancel, body=runs.Cancel, status=204, about="End a run as Cancelled.",
        ),
        Route(
            name="pauseRun", method="POST", path=f"{run}/pause", needs="steer", handler=runs.pause,
            body=runs.Nothing, status=204, about="Hand out nothing more of a run.",
        ),
        Route(
            name="unpauseRun", method="POST", path=f"{run}/unpause", needs="steer",
            handler=runs.unpause, body=runs.Nothing, status=204, about="Let a paused run go on.",
        ),
        Route(
            name="resumeTask", method="POST", path=f"{run}/resume", needs="steer",
            handler=runs.resume, body=runs.Resume, status=204, about="Resume a suspended task.",
        ),
        Route(
            name="forkRun", method="POST", path=f"{run}/fork", needs="write", handler=runs.fork,
            body=runs.ForkBody, answers=RunCreated, status=201, in_drain=False,
            about="Begin a run that goes on from a point of this one.",
        ),
        Route(
            name="retryRun", method="POST", path=f"{run}/retry", needs="write", handler=runs.retry,
            body=runs.Retry, answers=RunCreated, status=201, in_drain=False,
            about="Begin a run that keeps what succeeded in this one and does the rest again.",
        ),
        Route(
            name="getRunLog", method="GET", path=f"{run}/log", needs="look", handler=runs.log,
            query=runs.LogQuery, answers=list[Step], about="The past of a run, in sentences.",
        ),
        Route(
            name="diffRuns", method="GET", path=f"{run}/diff", needs="values", handler=runs.diff,
            query=runs.DiffQuery, answers=Difference,
            about="What two runs, or one run at two steps, differ in.",
        ),
        Route(
            name="followRun", method="GET", path=f"{run}/events", needs="look",
            handler=events.run_events, media="text/event-stream",
            about="Follow one run; ids are the numbers of its decisions.", group="events",
        ),
        Route(
            name="followRuns", method="GET", path="/events", needs="look",
            handler=events.all_events, query=RunFilter, media="text/event-stream",
            about="Follow all runs, or those of a filter.", group="events",
        ),
    ]  # fmt: skip


def _functions() -> list[Route]:
    run = "/runs/{run}"
    return [
        Route(
            name="startFunction", method="POST", path="/functions/{name}/runs", needs="write",
            handler=functions.start, body=functions.Start, answers=RunCreated, status=201,
            in_drain=False, keyed=True, about="Start a run of a function by its name.",
            group="functions",
        ),
        Route(
            name="signalRun", method="POST", path=f"{run}/signals/{{name}}", needs="steer",
            handler=functions.signal, body=functions.Signal, status=204,
            about="Send a signal; it is on record when this answers.", group="functions",
        ),
        Route(
            name="updateRun", method="POST", path=f"{run}/updates/{{name}}", needs="steer",
            handler=functions.update, body=functions.Update, answers=Answer,
            about="Call an update handler of a function, and wait for its answer.",
            group="functions",
        ),
        Route(
            name="queryRun", method="POST", path=f"{run}/queries/{{name}}", needs="values",
            handler=functions.query, body=functions.Query, answers=Answer,
            about="Ask a function something, without a trace on its record.", group="functions",
        ),
    ]  # fmt: skip


def _catalog() -> list[Route]:
    cron, template = "/crons/{cron}", "/templates/{template}"
    return [
        Route(
            name="submitCron", method="POST", path="/crons", needs="write",
            handler=catalog.submit_cron, body=catalog.Document, takes_document=True,
            answers=catalog.CronCreated, status=201, everywhere=True, in_drain=False,
            about="Store a CronWorkflow; it fires from now on.", group="crons",
        ),
        Route(
            name="listCrons", method="GET", path="/crons", needs="look",
            handler=catalog.list_crons, answers=list[CronExecution], everywhere=True,
            about="Every cron, when it fires next, and its runs.", group="crons",
        ),
        Route(
            name="getCron", method="GET", path=cron, needs="look", handler=catalog.get_cron,
            answers=CronExecution, everywhere=True, about="One cron.", group="crons",
        ),
        Route(
            name="updateCron", method="PUT", path=cron, needs="write",
            handler=catalog.update_cron, body=catalog.Document, takes_document=True, status=204,
            everywhere=True, about="Replace the document of a cron.", group="crons",
        ),
        Route(
            name="deleteCron", method="DELETE", path=cron, needs="manage",
            handler=catalog.delete_cron, status=204, everywhere=True,
            about="Forget a cron; its runs stay.", group="crons",
        ),
        Route(
            name="pauseCron", method="POST", path=f"{cron}/pause", needs="steer",
            handler=catalog.pause_cron, body=runs.Nothing, status=204, everywhere=True,
            about="Let a cron not fire.", group="crons",
        ),
        Route(
            name="unpauseCron", method="POST", path=f"{cron}/unpause", needs="steer",
            handler=catalog.unpause_cron, body=runs.Nothing, status=204, everywhere=True,
            about="Let a cron fire again.", group="crons",
        ),
        Route(
            name="triggerCron", method="POST", path=f"{cron}/trigger", needs="steer",
            handler=catalog.trigger_cron, body=catalog.Trigger, answers=catalog.Fire,
            everywhere=True, in_drain=False, about="Fire a cron now.", group="crons",
        ),
        Route(
            name="backfillCron", method="POST", path=f"{cron}/backfill", needs="steer",
            handler=catalog.backfill_cron, body=catalog.Backfill, answers=list[catalog.Fire],
            everywhere=True, in_drain=False, about="Fire for each instant of a time that is past.",
            group="crons",
        ),
        Route(
            name="storeTemplate", method="POST", path="/templates", needs="write",
            handler=catalog.put_template, body=catalog.Document, takes_document=True,
            answers=catalog.TemplateStored, status=201, everywhere=True,
            about="Store a version of a WorkflowTemplate.", group="templates",
        ),
        Route(
            name="listTemplates", method="GET", path="/templates", needs="look",
            handler=catalog.list_templates, query=catalog.TemplateQuery, answers=Names,
            everywhere=True, about="Every stored version, as name@version.", group="templates",
        ),
        Route(
            name="getTemplate", method="GET", path=template, needs="look",
            handler=catalog.get_template, query=catalog.VersionQuery, answers=dict[str, Any],
            everywhere=True, about="One stored template: a document of aether/v1.", group="templates",
        ),
        Route(
            name="deleteTemplate", method="DELETE", path=template, needs="manage",
            handler=catalog.delete_template, query=catalog.VersionQuery, answers=Deleted,
            everywhere=True, about="Forget one version, or all; runs keep what they began with.",
            group="templates",
        ),
    ]  # fmt: skip


def _operations() -> list[Route]:
    return [
        Route(
            name="startBulk", method="POST", path="/bulk", needs="steer",
            handler=operations.start_bulk, query=runs.WaitQuery, body=operations.BulkBody,
            answers=BulkJob, status=202, in_drain=False,
            about="Do one thing to every run of a filter, in the background.", group="bulk",
        ),
        Route(
            name="listBulk", method="GET", path="/bulk", needs="steer",
            handler=operations.list_bulk, answers=list[BulkJob], about="Bulk actions so far.",
            group="bulk",
        ),
        Route(
            name="getBulk", method="GET", path="/bulk/{bulk}", needs="steer",
            handler=operations.get_bulk, query=runs.WaitQuery, answers=BulkJob,
            about="How far a bulk action is, and what failed.", group="bulk",
        ),
        Route(
            name="listWorkers", method="GET", path="/workers", needs="look",
            handler=operations.workers, answers=list[WorkerInfo], about="Who works.",
            group="server",
        ),
        Route(
            name="listQueues", method="GET", path="/queues", needs="look",
            handler=operations.queues, answers=list[QueueView],
            about="What waits for a worker, by executor type.", group="server",
        ),
        Route(
            name="whoAmI", method="GET", path="/me", needs="look", handler=operations.me,
            answers=operations.Me, about="Whom the server takes you for.", group="server",
        ),
        Route(
            name="health", method="GET", path="/healthz", needs="open",
            handler=operations.healthz, answers=Health, about="Whether the process lives.",
            group="server",
        ),
        Route(
            name="readiness", method="GET", path="/readyz", needs="open",
            handler=operations.readyz, answers=Health,
            about="Whether work may be brought; 503 if not.", group="server",
        ),
        Route(
            name="openapi", method="GET", path="/openapi.json", needs="open",
            handler=pages.openapi_document, about="This API.", group="server",
        ),
    ]  # fmt: skip


def _pages() -> list[Route]:
    html = "text/html"
    return [
        Route(
            name="runsPage", method="GET", path="/", needs="look", handler=pages.list_page,
            query=pages.PageQuery, media=html, about="The list of runs.", group="pages",
        ),
        Route(
            name="runPage", method="GET", path="/pages/runs/{run}", needs="look",
            handler=pages.run_page, media=html, about="One run.", group="pages",
        ),
        Route(
            name="runReport", method="GET", path="/pages/runs/{run}/report", needs="values",
            handler=pages.report, media=html, about="The report of one run.", group="pages",
        ),
        Route(
            name="loginPage", method="GET", path="/login", needs="open", handler=pages.login_page,
            media=html, about="Where a browser gives its token.", group="pages",
        ),
        Route(
            name="login", method="POST", path="/session", needs="open", handler=pages.login,
            body=pages.Login, status=204, about="Keep a token in a cookie.", group="pages",
        ),
        Route(
            name="logout", method="DELETE", path="/session", needs="open", handler=pages.logout,
            status=204, about="Drop the cookie.", group="pages",
        ),
        Route(
            name="asset", method="GET", path="/static/{file}", needs="open", handler=pages.asset,
            about="Style and scripts of the pages.", group="pages", media="text/plain",
        ),
    ]  # fmt: skip


ROUTES = _routes()
