"""`aether pause RUN`: asks the engine that has the run."""

from __future__ import annotations

import click

from ..plan import Event, RunPaused
from ..ports import Clock, Store
from ..record import RunRow
from .calls import by, call_options, carry_out, steer_there
from .remote import server_option


@click.command(short_help="Hand out nothing more of a run.")
@click.argument("run")
@server_option
@call_options
def command(run: str, server: str, timeout: float, url: str | None, as_json: bool) -> int:
    """Hand out nothing more of RUN. What runs may finish, and deadlines stand still.

    RUN is the id of a run, the beginning of one, or `last`. Without an engine that runs, the call
    waits for one.
    """

    if server:
        return steer_there(server, run, "pause", "is paused", as_json=as_json)

    async def make(store: Store, row: RunRow, clock: Clock) -> Event:
        return RunPaused(clock.now(), by())

    return carry_out(run, "is paused", make, url=url, timeout=timeout, as_json=as_json)
