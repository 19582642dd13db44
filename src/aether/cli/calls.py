"""What `cancel`, `pause`, `unpause` and `resume` share: a call that the engine of the run carries out.

In: a RUN as the user names it, and what is to happen to it. Out: the engine's answer. Never: an engine, or
a change of a run: the call goes into the run's inbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from getpass import getuser
from typing import Any

import click

from ..adapters.clock import SystemClock
from ..adapters.ids import UuidV7Ids
from ..engine import ask
from ..plan import Event
from ..ports import Clock, Store
from ..record import RunRow
from . import exits
from .inspection import CannotOpen, database_options, echo_json, find_run, posting
from .remote import Remote

Make = Callable[[Store, RunRow, Clock], Awaitable[Event]]


def call_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--timeout`, `--db` and `--json`."""
    function = click.option(
        "--timeout", type=click.FloatRange(min=0), default=10.0, show_default=True, metavar="SECONDS",
        help="How long to wait for the engine's answer.",
    )(function)  # fmt: skip
    return database_options(function)


def by() -> str:
    """Who calls, as runs record it."""
    try:
        return getuser()
    except (OSError, KeyError):  # a user id without a name, as in some containers
        return "the user"


def steer_there(server: str, run: str, action: str, done: str, *, as_json: bool) -> int:
    """The same through a server, which answers when its engine has."""
    run_id = Remote(server).steer(run, action)
    if as_json:
        echo_json({"runId": run_id, "answered": True})
    else:
        click.echo(f"{run_id} {done}")
    return exits.OK


def carry_out(
    run: str, done: str, make: Make, *, url: str | None, timeout: float, as_json: bool
) -> int:
    """The exit code. `done` is what has happened to the run once its engine has answered."""

    async def work() -> int:
        async with posting(url) as store:
            row = await find_run(store, run)
            clock = SystemClock()
            event = await make(store, row, clock)
            key = UuidV7Ids().generate("Workflow", row.name)
            answered = await ask(
                store, clock, row.run_id, event, key, timeout=int(timeout * 1_000_000)
            )
        if as_json:
            click.echo(f'{{"runId": "{row.run_id}", "answered": {str(answered).lower()}}}')
        elif answered:
            click.echo(f"{row.run_id} {done}")
        else:
            click.echo(f"{row.run_id}: no engine has answered yet; the call waits for one")
        return exits.OK if answered else exits.TIME_LIMIT

    try:
        return asyncio.run(work())
    except CannotOpen as exc:
        click.echo(str(exc), err=True)
        return exits.USAGE
