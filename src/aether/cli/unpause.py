"""`aether unpause RUN`: asks the engine that has the run."""

from __future__ import annotations

import click

from ..plan import Event, RunUnpaused
from ..ports import Clock, Store
from ..record import RunRow
from .calls import call_options, carry_out, steer_there
from .remote import server_option


@click.command(short_help="Go on with a paused run.")
@click.argument("run")
@server_option
@call_options
def command(run: str, server: str, timeout: float, url: str | None, as_json: bool) -> int:
    """Go on with RUN. Its deadlines move by the length of the pause.

    RUN is the id of a run, the beginning of one, or `last`. Without an engine that runs, the call
    waits for one.
    """

    if server:
        return steer_there(server, run, "unpause", "goes on", as_json=as_json)

    async def make(store: Store, row: RunRow, clock: Clock) -> Event:
        return RunUnpaused(clock.now())

    return carry_out(run, "goes on", make, url=url, timeout=timeout, as_json=as_json)
