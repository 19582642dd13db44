"""`aether fork RUN --from TASK|SEQ`: a new run that goes on from the past of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..app import Aether
from .arguments import split_pairs, value_of
from .filters import run_filters
from .forking import EVALUATOR, TIMEOUT, Request, carry_out
from .inspection import database_options


@click.command(
    short_help="Begin a run from a task or step of another.",
    epilog="The exit code is that of the new run, as for `aether run`; of several that of the worst, "
    "and 3 if one was refused.",
)
@click.argument("run", required=False)
@click.option(
    "--from", "point", required=True, metavar="TASK|SEQ",
    help="Begin with this task (its name, path or id), or after this step (a number).",
)  # fmt: skip
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE",
    help="Another value for an argument of the workflow, for what runs anew.",
)  # fmt: skip
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=VALUE",
    help="Another input for TASK. JSON if it is JSON, text otherwise.",
)  # fmt: skip
@TIMEOUT
@EVALUATOR
@run_filters
@database_options
def command(
    run: str | None,
    point: str,
    changes: Sequence[str],
    inputs: Sequence[str],
    timeout: str | None,
    evaluator: str,
    url: str | None,
    as_json: bool,
    **typed: Any,
) -> int:
    """Begin a new run that goes on from RUN, and watch it until it is over. RUN stays as it is.

    From a TASK, what is not downstream of it keeps its results. From a step, the new run begins as RUN
    stood after it. RUN is the id of a run, the beginning of one, or `last`; instead of it a filter forks
    every run that it finds.
    """
    is_step = point.isascii() and point.isdigit()
    texts = split_pairs(changes, "--set")
    given = {name: value_of(text) for name, text in split_pairs(inputs, "--input").items()}

    async def make(app: Aether, origin: str, types: Mapping[str, str]) -> str:
        values = {name: value_of(text, types.get(name, "")) for name, text in texts.items()}
        return await app.fork(
            origin,
            from_task="" if is_step else point,
            from_seq=int(point) if is_step else None,
            set=values,
            arguments=given,
        )

    request = Request(
        run=run, url=url, timeout=timeout, evaluator=evaluator, as_json=as_json, typed=typed
    )
    return carry_out(request, make)
