"""`aether continue`: goes on with runs that an earlier process left unfinished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import click
import msgspec

from ..adapters.errors import CollectingSink
from ..app import Aether
from ..errors import InvalidState, NotFound, Problem, ProblemError, Refused, WaitTimeout
from ..ports import Execution, TaskExecution
from ..record import Phase
from . import drive, exits, output, wiring
from .arguments import argument_values, seconds_of
from .inspection import CannotOpen, database_options, database_url, echo_json, find_run, opened
from .progress import progress
from .result import run_result
from .session import unless_stopped
from .status import headline

_SHOWN = 10


class Request(msgspec.Struct, kw_only=True):
    """The command line, as click hands it over."""

    runs: Sequence[str]
    url: str | None
    timeout: str | None
    resume: str | None
    arguments: Sequence[str]
    evaluator: str
    as_json: bool


class Followed(msgspec.Struct, kw_only=True):
    """How the runs stand, in the order asked for, and the signal that ended the watching."""

    executions: Sequence[Execution] = ()
    problems: list[ProblemError] = []
    stopped_by: int | None = None


@click.command(
    short_help="Go on with runs that were left unfinished.",
    epilog="The exit code is that of the run that went worst, as for `aether run`.",
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--timeout", metavar="DURATION", help="Stop watching after this long: 30s, 5m.")
@click.option(
    "--resume", metavar="TASK",
    help="First resume this suspended task of the one RUN: its name, path or id.",
)  # fmt: skip
@click.option(
    "-a", "--argument", "arguments", multiple=True, metavar="NAME=VALUE",
    help="With --resume: a value for the task. JSON if it is JSON, text otherwise.",
)  # fmt: skip
@click.option(
    "--evaluator", type=click.Choice(["cel", "simple"]), default="cel", show_default=True,
    help="The expression language, as the runs were begun with.",
)  # fmt: skip
@database_options
def command(**given: Any) -> int:
    """Open an engine on the database, let it take up every unfinished run, and watch each RUN (or all
    of them) until it is over.

    RUN is the id of a run, the beginning of one, or `last`. Ctrl-C stops the engine and leaves the runs
    as they stand; nothing is cancelled.
    """
    request = Request(**given)
    limit = seconds_of(request.timeout, "--timeout") if request.timeout else None
    faults = CollectingSink()
    try:
        url = database_url(request.url)
        followed = asyncio.run(_continue(request, url, limit, faults))
    except CannotOpen as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
    for told in dict.fromkeys(output.fault_line(fault) for fault in faults.faults):
        click.echo(told, err=True)
    for problem in followed.problems:
        click.echo(str(problem), err=True)
    _tell(request, followed)
    return exit_code(followed)


def exit_code(followed: Followed) -> int:
    if followed.stopped_by is not None:
        return 128 + followed.stopped_by
    codes = [exits.of_phase(run.status) for run in followed.executions]
    codes += [exits.INVALID for _ in followed.problems]
    return max(codes, default=exits.OK)


async def _continue(
    request: Request, url: str, limit: float | None, faults: CollectingSink
) -> Followed:
    run_ids = await _wanted(request, url)
    if not run_ids:
        return Followed()
    app = wiring.open_app(
        url, evaluator=request.evaluator, variables=(), history=False, faults=faults
    )
    try:
        await app.start()
    except Refused as exc:
        raise CannotOpen(exc.problems) from exc
    try:
        if request.resume is not None:
            await _resume(app, run_ids[0], request)
        return await watch(app, run_ids, limit, quiet=request.as_json)
    finally:
        await app.stop()


async def _wanted(request: Request, url: str) -> list[str]:
    """The ids of the runs to watch."""
    async with opened(url) as store:
        if request.resume is not None and len(request.runs) != 1:
            raise _not_one_run()
        if request.runs:
            rows = [await find_run(store, text) for text in request.runs]
            return list(dict.fromkeys(row.run_id for row in rows))
        found: list[str] = []
        while page := await store.unfinished(found[-1] if found else ""):
            found += [due.run_id for due in page]
        return found


async def _resume(app: Aether, run_id: str, request: Request) -> None:
    execution = await app.get(run_id)
    wanted = request.resume
    suspended = [task for task in execution.tasks if task.status is Phase.SUSPENDED]
    found = [task for task in suspended if wanted in (task.task_run_id, task.path, task.task_name)]
    if len(found) != 1:
        raise _not_suspended(run_id, wanted or "", suspended)
    values = argument_values(request.arguments, {})
    await app.resume(run_id, found[0].task_run_id, values)


async def watch(app: Aether, run_ids: Sequence[str], limit: float | None, quiet: bool) -> Followed:
    followed = Followed()

    async def look_again() -> Sequence[Execution]:
        return [await app.get(run_id) for run_id in run_ids]

    if len(run_ids) == 1:
        with progress(quiet=quiet) as show:
            work = _follow_one(app, run_ids[0], limit, show)
            followed.executions, followed.stopped_by = await unless_stopped(work, look_again)
        return followed

    def tell(execution: Execution) -> None:
        if not quiet:
            click.echo(f"{headline(execution)}  {execution.run_id}")

    if not quiet:
        click.echo(f"{len(run_ids)} runs to go on with")
    work = _follow_all(app, run_ids, limit, tell, followed.problems)
    followed.executions, followed.stopped_by = await unless_stopped(work, look_again)
    return followed


async def _follow_one(
    app: Aether, run_id: str, limit: float | None, show: drive.Show
) -> Sequence[Execution]:
    return [await drive.follow(app, run_id, limit=limit, show=show)]


async def _follow_all(
    app: Aether,
    run_ids: Sequence[str],
    limit: float | None,
    tell: Callable[[Execution], None],
    problems: list[ProblemError],
) -> Sequence[Execution]:
    async def follow(run_id: str) -> Execution:
        try:
            execution = await app.wait(run_id, limit)
        except WaitTimeout:
            return await app.get(run_id)
        except ProblemError as exc:  # the engine cannot go on with this run; the others do
            problems.append(exc)
            return await app.get(run_id)
        tell(execution)
        return execution

    return await asyncio.gather(*(follow(run_id) for run_id in run_ids))


def _tell(request: Request, followed: Followed) -> None:
    executions = followed.executions
    if request.as_json:
        results = [{**run_result(run, run.name), "seq": run.seq} for run in executions]
        echo_json({"runs": results, "exitCode": exit_code(followed)})
        return
    if not executions:
        click.echo("nothing to go on with: every run is over")
    unfinished = [run for run in executions if not run.status.is_terminal]
    if len(executions) == 1:
        output.print_run(executions[0])
    else:
        for run in unfinished[:_SHOWN]:
            click.echo(f"{headline(run)}  {run.run_id}")
        if len(unfinished) > _SHOWN:
            click.echo(f"… and {len(unfinished) - _SHOWN} more")
    if followed.stopped_by is not None:
        click.echo("interrupted: nothing was cancelled, and unfinished runs can go on later")
    elif unfinished:
        click.echo(f"time limit: {len(unfinished)} not over after {request.timeout}")
    for run in unfinished[:1]:
        for task in run.tasks:
            if task.status is Phase.SUSPENDED:
                told = f"aether continue {run.run_id} --resume {task.path} -a NAME=VALUE"
                click.echo(f"to resume {task.path}: {told}")


def _not_one_run() -> Refused:
    return Refused(
        Problem(
            "bad-argument",
            "`--resume` names a task of one run",
            fix="write aether continue RUN --resume TASK",
        )
    )


def _not_suspended(run_id: str, task: str, suspended: Sequence[TaskExecution]) -> ProblemError:
    there = ", ".join(f"{each.path} ({each.task_run_id})" for each in suspended)
    if not suspended:
        what = f"no task of run {run_id} is suspended"
        return InvalidState(Problem("not-suspended", what, fix="look at `aether status` first"))
    return NotFound(
        Problem(
            "task-not-found",
            f"'{task}' is not one suspended task of run {run_id}",
            fix=f"give the name, path or id of one of these: {there}",
        )
    )
