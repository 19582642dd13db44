"""`aether retry RUN`: a new run that keeps what Succeeded, and does the rest again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..app import Aether
from .filters import run_filters
from .forking import EVALUATOR, TIMEOUT, Request, carry_out
from .inspection import database_options


@click.command(
    short_help="Do again what did not succeed in a run.",
    epilog="The exit code is that of the new run, as for `aether run`; of several that of the worst, "
    "and 3 if one was refused.",
)
@click.argument("run", required=False)
@TIMEOUT
@EVALUATOR
@run_filters
@database_options
def command(
    run: str | None,
    timeout: str | None,
    evaluator: str,
    url: str | None,
    as_json: bool,
    **typed: Any,
) -> int:
    """Begin a new run with every result of RUN that Succeeded, do the rest again, and watch it until it
    is over. RUN, which must be over, stays as it is.

    RUN is the id of a run, the beginning of one, or `last`; instead of it a filter retries every run that
    it finds.
    """

    async def make(app: Aether, origin: str, types: Mapping[str, str]) -> str:
        return await app.retry(origin)

    request = Request(
        run=run, url=url, timeout=timeout, evaluator=evaluator, as_json=as_json, typed=typed
    )
    return carry_out(request, make)
