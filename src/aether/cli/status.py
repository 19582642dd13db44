"""`aether status RUN`: how a run stands, and why it waits."""

from __future__ import annotations

import click

from ..ports import Execution, Store
from . import exits
from .inspection import database_options, echo_json, find_run, reading, view_of
from .output import VALUE_WIDTH, print_faults, print_values, print_waiting
from .progress import LOOKS, one_line, took
from .remote import Remote, server_option
from .result import instant_text, run_result


@click.command(short_help="Say how a run stands, and why it waits.")
@click.argument("run")
@server_option
@database_options
def command(run: str, server: str, url: str | None, as_json: bool) -> int:
    """Say how RUN stands; the first line is why it waits, or how it ended.

    RUN is the id of a run, the beginning of one, or `last`. Reads beside a running engine.
    """

    def tell(execution: Execution) -> int:
        if as_json:
            echo_json({**run_result(execution, execution.name), "seq": execution.seq})
        else:
            _show(execution)
        return exits.OK

    if server:
        remote = Remote(server)
        return tell(remote.get(remote.find(run)))

    async def look(store: Store) -> int:
        row = await find_run(store, run)
        return tell(await view_of(store, row.run_id))

    return reading(url, look)


def headline(execution: Execution) -> str:
    """Why it waits, or how it ended."""
    icon, colour = LOOKS[execution.status]
    head = click.style(f"{icon} {execution.name}", fg=colour, bold=True)
    if execution.status.is_terminal:
        after = took(execution.metrics.duration)
        text = f"{execution.status}" + (f" in {after}" if after else "")
        text += f": {execution.message}" if execution.message else ""
    else:
        reasons = execution.waiting_for
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        text = f"{execution.status}, waits: {reasons[0]}{more}"
    return f"{head} {one_line(text, VALUE_WIDTH)}"


def _show(execution: Execution) -> None:
    click.echo(headline(execution))
    facts = {
        "run": execution.run_id,
        "cron": execution.cron_id,
        "created": instant_text(execution.created_at),
        "finished": instant_text(execution.metrics.finished_at),
        "deadline": instant_text(execution.deadline_at),
        "tasks": f"{execution.progress} over" if execution.progress else "",
        "step": str(execution.seq),
    }
    for name, value in facts.items():
        if value:
            click.echo(f"  {name:<8}  {value}")
    if len(execution.waiting_for) > 1:
        print_waiting(execution)
    print_faults(execution)
    print_values("outputs", execution.outputs)
    if not execution.status.is_terminal:
        click.echo(f"if no engine works on it any more: aether continue {execution.run_id}")
