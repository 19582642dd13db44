"""`aether sim APP.PY:WORKFLOW`: a workflow under crashes at every step, in virtual time."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import Problem, Refused
from ..sdk import Workflow
from ..sdk.functions import Functions
from ..testing.simulation.search import Finding, Search, search
from ..testing.simulation.trial import Code, Strike, trial
from . import exits
from .arguments import split_pairs, value_of
from .inspection import echo_json


@click.command(short_help="Run a workflow under crashes at every step, in virtual time.")
@click.argument("target", metavar="APP.PY:WORKFLOW")
@click.option(
    "-a", "--argument", "arguments", multiple=True, metavar="NAME=VALUE",
    help="Give the workflow an argument. JSON if it is JSON, text otherwise.",
)  # fmt: skip
@click.option(
    "--signal", "signals", multiple=True, metavar="NAME=VALUE",
    help="Send this signal whenever the workflow waits for it.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(min=1), default=200, show_default=True, help="How many."
)
@click.option("--seed", type=click.IntRange(min=0), help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    target: str,
    arguments: Sequence[str],
    signals: Sequence[str],
    seeds: int,
    seed: int | None,
    as_json: bool,
) -> int:
    """Run WORKFLOW of APP.PY again and again, and let its process die at another place each time.

    Time is virtual: a workflow that sleeps for a week takes milliseconds. Seed 0 disturbs nothing; the next
    ones let one thing go wrong each: a crash before and after every commit, a store that is away, an activity
    that is repeated or takes too long. Further seeds let several things go wrong at once, and clocks differ.
    Activities and steps are executed for real, many times: give them something to talk to that bears it.

    Exit code 0 if every run ended as the undisturbed one did; 7 if any did not.
    """
    place, _, name = target.rpartition(":")
    if not place:
        raise click.UsageError("name the workflow as well: aether sim app.py:workflow")
    inputs = {key: value_of(text) for key, text in split_pairs(arguments, "-a").items()}
    answers = {key: value_of(text) for key, text in split_pairs(signals, "--signal").items()}
    _check(load(place, name), target)

    def run(schedule: Sequence[Strike]) -> Any:
        return trial(lambda: load(place, name), inputs, schedule, answers)

    chosen = range(seeds) if seed is None else [seed]
    found = search(run, chosen, lambda finding: None if as_json else _tell(finding, target))
    if as_json:
        echo_json(_as_data(found))
    else:
        _sum_up(found)
    return exits.VERIFY if found.findings else exits.OK


def load(place: str, name: str) -> Code:
    """The code of one process: the file is executed anew, what it imports is not."""
    path = Path(place)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise click.UsageError(f"{place} cannot be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.UsageError(
            f"{place} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    values = list(vars(module).values())
    apps = [value for value in values if isinstance(value, Functions)]
    workflows = {
        each.name: each
        for each in [
            *(value for value in values if isinstance(value, Workflow)),
            *(workflow for app in apps for workflow in app.workflows().values()),
        ]
    }
    chosen = getattr(module, name, None)
    if not isinstance(chosen, Workflow):
        chosen = workflows.get(name)
    if chosen is None:
        known = ", ".join(workflows) or "none"
        raise click.UsageError(f"{place} has no workflow '{name}'; it has: {known}")
    activities = {each.name: each for app in apps for each in app.activities().values()}
    return Code(chosen, list(workflows.values()), list(activities.values()))


def _check(code: Code, target: str) -> None:
    if not code.workflow.definition.is_async:
        raise Refused(
            Problem(
                "plain-workflow",
                f"{target} is a plain function, which needs threads; time here is virtual",
                fix="test it with aether.testing.crash_at_every_step, or make it async",
            )
        )


def _tell(finding: Finding, target: str) -> None:
    click.echo(f"FAILED {finding.fault}: aether sim {target} --seed {finding.seed}")
    click.echo(f"  {finding.what}")
    for strike in finding.schedule:
        click.echo(f"  - {strike}")
    if not finding.schedule:
        click.echo("  - nothing had to go wrong for it")


def _sum_up(found: Search) -> None:
    click.echo(f"{found.seeds} seeds, {found.crashes} crashes; undisturbed: {found.expected}")
    for name, count in sorted(found.repeated.items()):
        click.echo(
            f"activity '{name}' was executed more than once for one call in {count} seeds: "
            "see that this does no harm"
        )


def _as_data(found: Search) -> dict[str, Any]:
    return {
        "ok": not found.findings,
        "seeds": found.seeds,
        "crashes": found.crashes,
        "undisturbed": found.expected,
        "findings": [
            {
                "seed": each.seed,
                "fault": each.fault,
                "what": each.what,
                "schedule": [
                    {"point": s.point, "number": s.number, "meaning": str(s)} for s in each.schedule
                ],
            }
            for each in found.findings
        ],
        "repeated": dict(found.repeated),
    }
