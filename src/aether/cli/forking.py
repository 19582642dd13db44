"""What `aether fork` and `aether retry` share: which runs, the new ones, and how they go.

In: a RUN or a filter, and how to make one run of another. Out: the new runs watched to their end, and
what could not be made. Never: a change of the runs that they come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import click
import msgspec

from ..adapters.errors import CollectingSink
from ..app import Aether
from ..errors import Problem, ProblemError, Refused
from ..ports import Forked
from . import exits, output, wiring
from .arguments import declared_types, seconds_of
from .continuation import Followed, exit_code, watch
from .filters import each_run, has_filters, query_of
from .inspection import CannotOpen, database_url, echo_json, find_run, opened
from .result import run_result
from .status import headline

Make = Callable[[Aether, str, Mapping[str, str]], Awaitable[str]]
"""Begins a run that comes from another, whose workflow declares these types; answers its id."""

_SHOWN = 20

TIMEOUT = click.option(
    "--timeout", metavar="DURATION", help="Stop watching after this long: 30s, 5m."
)
EVALUATOR = click.option(
    "--evaluator", type=click.Choice(["cel", "simple"]), default="cel", show_default=True,
    help="The expression language, as the runs were begun with.",
)  # fmt: skip


class Request(msgspec.Struct, kw_only=True):
    """The command line, as click hands it over; `typed` are its filters."""

    run: str | None
    url: str | None
    timeout: str | None
    evaluator: str
    as_json: bool
    typed: dict[str, Any]


def carry_out(request: Request, make: Make) -> int:
    """The exit code: that of the new run that went worst; a run that none could be made of counts too."""
    limit = seconds_of(request.timeout, "--timeout") if request.timeout else None
    if bool(request.run) == has_filters(request.typed):
        raise _which_runs()
    faults = CollectingSink()
    try:
        url = database_url(request.url)
        told, followed = asyncio.run(_carry_out(request, url, limit, faults, make))
    except CannotOpen as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
    for line in dict.fromkeys(output.fault_line(fault) for fault in faults.faults):
        click.echo(line, err=True)
    for problem in followed.problems:
        click.echo(str(problem), err=True)
    refused = [each for each in told if each.problem is not None]
    code = max(exit_code(followed), exits.INVALID if refused else exits.OK)
    if request.as_json:
        runs = [{**run_result(run, run.name), "seq": run.seq} for run in followed.executions]
        echo_json({"forks": [_told(each) for each in told], "runs": runs, "exitCode": code})
    else:
        _show(told, followed)
    return code


async def _carry_out(
    request: Request, url: str, limit: float | None, faults: CollectingSink, make: Make
) -> tuple[list[Forked], Followed]:
    wanted = await _wanted(request, url)
    if not wanted:
        return [], Followed()
    app = wiring.open_app(
        url, evaluator=request.evaluator, variables=(), history=False, faults=faults
    )
    try:
        await app.start()
    except Refused as exc:
        raise CannotOpen(exc.problems) from exc
    try:
        told: list[Forked] = []
        for origin, types in wanted:
            try:
                told.append(Forked(origin, await make(app, origin, types)))
            except ProblemError as exc:
                if request.run:
                    raise
                told.append(Forked(origin, problem=exc.problems[0]))
        made = [each.run_id for each in told if each.run_id]
        if not made:
            return told, Followed()
        return told, await watch(app, made, limit, quiet=request.as_json)
    finally:
        await app.stop()


async def _wanted(request: Request, url: str) -> list[tuple[str, dict[str, str]]]:
    """The runs, oldest first, each with the types that its workflow declares."""
    async with opened(url) as store:
        if request.run:
            rows = [await find_run(store, request.run)]
        else:
            query = msgspec.structs.replace(query_of(request.typed), newest_first=False)
            rows = [row async for row in each_run(store, query)]
        types: dict[bytes, dict[str, str]] = {}
        for row in rows:
            if row.document not in types:
                types[row.document] = _types(await store.document(row.document))
        return [(row.run_id, types[row.document]) for row in rows]


def _types(text: bytes | None) -> dict[str, str]:
    try:
        return declared_types(msgspec.json.decode(text or b"null"))
    except msgspec.DecodeError:
        return {}


def _told(each: Forked) -> dict[str, Any]:
    problem = each.problem
    found = None
    if problem is not None:
        found = {"code": problem.code, "what": problem.what, "fix": problem.fix}
    return {"origin": each.origin, "runID": each.run_id, "problem": found}


def _show(told: Sequence[Forked], followed: Followed) -> None:
    if not told:
        click.echo("no runs match")
    for each in told:
        if each.problem is not None:
            click.echo(f"{each.origin}: {ProblemError(each.problem)}", err=True)
    executions = followed.executions
    if len(executions) == 1:
        output.print_run(executions[0])
        origin = executions[0].origin
        if origin is not None:
            click.echo(f"{origin.kind} of {origin.run_id}, which is as it was")
    unfinished = [run for run in executions if not run.status.is_terminal]
    if len(executions) > 1:
        for run in unfinished[:_SHOWN]:
            click.echo(f"{headline(run)}  {run.run_id}")
        refused = sum(each.problem is not None for each in told)
        click.echo(f"{len(executions)} of {len(told)} runs begun anew, {refused} refused")
    if unfinished:
        click.echo(f"{len(unfinished)} not over; to go on: aether continue")


def _which_runs() -> Refused:
    return Refused(
        Problem(
            "bad-argument",
            "either one RUN is meant, or all that a filter finds",
            fix="name a RUN, or give options such as --phase Failed --name etl",
        )
    )
