"""`aether submit FILE`: begins a run on a server, and may wait for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ..document import load
from ..errors import Problem, Refused, Where
from ..ports import Execution
from ..record import TIERS
from . import exits
from .arguments import argument_values, declared_types, split_pairs
from .inspection import echo_json
from .output import print_run
from .remote import DEFAULT, SERVER, Remote, path_of
from .result import run_result


@click.command(short_help="Begin a run of a document on a server.")
@click.argument("file")
@click.option(
    "-a", "--argument", "arguments", multiple=True, metavar="NAME=VALUE",
    help="Give the workflow an argument. JSON if it is JSON, text otherwise.",
)  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label the run.")
@click.option("--run-id", default="", metavar="ID", help="Call it this.")
@click.option(
    "--key", default="", metavar="TEXT", help="Submits with the same key make one run together."
)
@click.option("--tier", type=click.Choice(TIERS), help="How much of it outlives the server.")
@click.option("--lenient", is_flag=True, help="Unknown members of the document are only warnings.")
@click.option("--wait", is_flag=True, help="Wait for its end, and show what came of it.")
@click.option(
    "--server", default="", metavar="URL", help=f"The server.  [default: {SERVER}, else {DEFAULT}]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: str,
    arguments: Sequence[str],
    labels: Sequence[str],
    run_id: str,
    key: str,
    tier: str | None,
    lenient: bool,
    wait: bool,
    server: str,
    as_json: bool,
) -> int:
    """Submit FILE (`-` is standard input), a Workflow in JSON or YAML, and print the id of its run.

    With --wait the exit code says how the run ended, as that of `aether run` does.
    """
    text = _read(file)
    remote = Remote(server or os.environ.get(SERVER, "") or DEFAULT)
    body: dict[str, Any] = {
        "document": text,
        "arguments": argument_values(arguments, declared_types(load(text, file).data)),
        "labels": split_pairs(labels, "--label"),
        "runId": run_id,
        "tier": tier or "",
        "lenient": lenient,
    }
    headers = {"idempotency-key": key} if key else {}
    made = msgspec.json.decode(remote.call("POST", "/runs", body, headers=headers))["runId"]
    if not wait:
        if as_json:
            echo_json({"runId": made})
        else:
            click.echo(made)
        return exits.OK
    execution = _ended(remote, made)
    if as_json:
        echo_json(run_result(execution, file))
    else:
        print_run(execution)
    return exits.of_phase(execution.status)


def _ended(remote: Remote, run_id: str) -> Execution:
    while True:
        remote.call("GET", f"{path_of(run_id)}/result", query={"wait": "60s"})
        execution = remote.get(run_id)
        if execution.status.is_terminal:
            return execution


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused(
            Problem(
                "file-unreadable",
                f"cannot read the file: {exc}",
                Where(file=name),
                "give the path of a file that exists and can be read",
            )
        ) from exc
