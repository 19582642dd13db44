"""`aether log RUN`: every decision of a run, in sentences."""

from __future__ import annotations

from datetime import timedelta

import click

from ..engine import moment, steps
from ..ports import Step, Store
from . import exits
from .inspection import database_options, echo_json, find_run, reading
from .output import VALUE_WIDTH
from .progress import one_line


@click.command(short_help="Tell a run's past, step by step.")
@click.argument("run")
@click.option(
    "--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only steps behind it."
)
@database_options
def command(run: str, after: int, url: str | None, as_json: bool) -> int:
    """Tell what each step of RUN changed. `aether show RUN --at SEQ` shows the run after a step.

    RUN is the id of a run, the beginning of one, or `last`. With --json, one object a line.
    """

    async def look(store: Store) -> int:
        row = await find_run(store, run)
        began = moment(row.created_at)
        async for step in steps(store, row.run_id, after):
            if as_json:
                echo_json(step)
            else:
                _show(step, step.at - began, len(str(row.seq)))
        return exits.OK

    return reading(url, look)


def _show(step: Step, since: timedelta, width: int) -> None:
    head = f"{step.seq:>{width}}  {since.total_seconds():>9.3f}s  "
    for change in step.changes:
        click.echo(head + one_line(change, VALUE_WIDTH))
        head = " " * len(head)
