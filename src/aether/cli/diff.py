"""`aether diff A B`: what two runs, or one run at two steps, differ in."""

from __future__ import annotations

from typing import Any

import click

from ..engine import compare, rows_at
from ..ports import Changed, Difference, Store
from . import exits
from .inspection import database_options, echo_json, find_point, reading
from .output import json_text
from .progress import one_line

_WIDTH = 120


@click.command(short_help="Show what two runs, or one run at two steps, differ in.")
@click.argument("a", metavar="RUN_A[@SEQ]")
@click.argument("b", metavar="RUN_B[@SEQ]")
@database_options
def command(a: str, b: str, url: str | None, as_json: bool) -> int:
    """Show phases, inputs, outputs and retries that differ, by path of the task runs.

    RUN is the id of a run, the beginning of one, or `last`; @SEQ is the run as it stood after that step.
    """

    async def look(store: Store) -> int:
        (left, at_a), (right, at_b) = [await find_point(store, text) for text in (a, b)]
        before = await rows_at(store, left.run_id, at_a)
        difference = compare(before, await rows_at(store, right.run_id, at_b))
        if as_json:
            echo_json(_as_json(difference))
        else:
            _show(difference)
        return exits.OK

    return reading(url, look)


def _as_json(difference: Difference) -> dict[str, Any]:
    sides = {"a": difference.a, "b": difference.b}
    return {
        **{side: {"runID": point.run_id, "seq": point.seq} for side, point in sides.items()},
        "same": difference.is_empty,
        "run": difference.run,
        "tasks": difference.tasks,
    }


def _show(difference: Difference) -> None:
    for side, point in (("a", difference.a), ("b", difference.b)):
        click.echo(f"{side}: {point.run_id} at step {point.seq}")
    if difference.is_empty:
        click.echo("no difference")
        return
    _show_changes("run", difference.run)
    for task in difference.tasks:
        title = task.path + (f" (only in {task.only_in})" if task.only_in else "")
        _show_changes(title, task.changes)


def _show_changes(title: str, changes: list[Changed]) -> None:
    if not changes:
        return
    click.echo(title)
    for change in changes:
        a, b = (
            click.style(_text(value), fg=c) for value, c in ((change.a, "red"), (change.b, "green"))
        )
        click.echo(f"  {change.what}: {a} → {b}")


def _text(value: Any) -> str:
    """A phase or message reads as text, everything else as JSON; None is a value that is not there."""
    return "-" if value is None else one_line(json_text(value), _WIDTH)
