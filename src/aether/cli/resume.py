"""`aether resume RUN [TASK]`: asks the engine that has the run to go on with a suspended task."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..errors import NotFound, Problem
from ..plan import Event, TaskResumed
from ..ports import Clock, Store
from ..record import NamedValue, Phase, RunRow, encode_values
from .arguments import split_pairs, value_of
from .calls import call_options, carry_out


@click.command(short_help="Go on with a suspended task.")
@click.argument("run")
@click.argument("task", default="")
@click.option(
    "--set", "values", multiple=True, metavar="NAME=VALUE",
    help="An input of the task from now on; more than once for several.",
)  # fmt: skip
@call_options
def command(
    run: str, task: str, values: Sequence[str], timeout: float, url: str | None, as_json: bool
) -> int:
    """Run TASK of RUN again, which is suspended: its name, or left out if only one is.

    RUN is the id of a run, the beginning of one, or `last`. Without an engine that runs, the call
    waits for one.
    """
    given = split_pairs(values, "--set")
    payload = [NamedValue(name, "", value_of(text)) for name, text in given.items()]

    async def make(store: Store, row: RunRow, clock: Clock) -> Event:
        ordinal = await _suspended(store, row, task)
        return TaskResumed(ordinal, encode_values(payload), clock.now())

    return carry_out(run, "goes on", make, url=url, timeout=timeout, as_json=as_json)


async def _suspended(store: Store, row: RunRow, name: str) -> int:
    """The ordinal of the task run that is meant. Raises NotFound."""
    [rows] = await store.load([row.run_id])
    tasks = [] if rows is None else list(rows.tasks.values())
    named = [task for task in tasks if not name or task.task_name == name]
    asleep = [task for task in named if task.phase is Phase.SUSPENDED]
    if len(asleep) == 1 or (name and asleep):
        return asleep[-1].ordinal
    if name and named:
        return named[-1].ordinal  # the engine says why it cannot
    what = f"task '{name}'" if name else f"{len(asleep)} suspended tasks, and none was named"
    raise NotFound(
        Problem(
            "task-not-found",
            f"run {row.run_id} has {what if not name else 'no ' + what}",
            fix="name one of its tasks; `aether status RUN` lists them",
        )
    )
