"""`aether show RUN`: its task runs with their values, now or as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ..engine import execution_of, forks_of, log_entries, obstacles_of, rows_at
from ..errors import Problem, Refused, Where
from ..ports import Execution, LogEntry, Store, TaskExecution, Value
from ..record import CALL_KINDS
from . import exits
from .deploy import version_of
from .inspection import database_options, echo_json, find_run, reading
from .output import VALUE_WIDTH, json_text, print_values
from .progress import LOOKS, describe, one_line
from .report import report_page
from .result import run_result
from .status import headline


@click.command(short_help="Show a run's tasks with their values, now or at any step.")
@click.argument("run")
@click.option(
    "--at", "seq", type=click.IntRange(min=1), metavar="SEQ",
    help="As it stood after this step; `aether log` lists the steps.",
)  # fmt: skip
@click.option("--report", metavar="OUT.HTML", help="Also write one self-contained page about it.")
@database_options
def command(run: str, seq: int | None, report: str | None, url: str | None, as_json: bool) -> int:
    """Show the task runs of RUN as a tree, with inputs and outputs.

    RUN is the id of a run, the beginning of one, or `last`. Reads beside a running engine.
    """

    async def look(store: Store) -> int:
        row = await find_run(store, run)
        rows = await rows_at(store, row.run_id, seq)
        execution = execution_of(
            rows,
            served=None,
            forks=await forks_of(store, row),
            obstacles=await obstacles_of(store, rows),
        )
        if report is not None:
            text = await store.document(row.document) or b""
            entries = await _log(store, row.run_id, seq)
            _write(report, report_page(execution, text, _tree(text), entries))
        if as_json:
            told = {**run_result(execution, execution.name), "seq": execution.seq}
            if version := version_of(await store.document(row.document)):
                told["codeVersion"] = version
            echo_json(told)
        else:
            _show(execution, seq, version_of(await store.document(row.document)))
            if report is not None:
                click.echo(f"report: {report}")
        return exits.OK

    return reading(url, look)


async def _log(store: Store, run_id: str, seq: int | None) -> Sequence[LogEntry]:
    """The steps for the report's slider; a page about a run without a log has none."""
    has_log = store.keeps_log and await store.history(run_id, 0, 1)
    return await log_entries(store, run_id, seq) if has_log else ()


def _show(execution: Execution, seq: int | None, version: str) -> None:
    click.echo(headline(execution))
    click.echo(
        f"  {execution.run_id}, " + (f"as of step {seq}" if seq else f"step {execution.seq}")
    )
    if version:
        click.echo(f"  begun with code {version}")
    _show_what_it_says(execution)
    for line in links(execution):
        click.echo(f"  {line}")
    children: dict[str, list[TaskExecution]] = {}
    for task in execution.tasks:
        children.setdefault(task.parent_run_id, []).append(task)
    _show_tasks(children, "", 1)
    for node in execution.omitted:
        text = f"  · {node.scope}{node.name} was never reached: {one_line(node.reason)}"
        click.echo(click.style(text, fg="bright_black"))
    for hook in execution.hooks:
        icon, colour = LOOKS[hook.status]
        click.echo(click.style(f"  {icon} hook {hook.hook} {hook.status}", fg=colour))
    print_values("outputs", execution.outputs)


def _show_what_it_says(execution: Execution) -> None:
    if execution.parent_task_run_id:
        click.echo(f"  a child: {execution.parent_task_run_id} waits for it")
    for label, values in (("says", execution.reported), ("attribute", execution.attributes)):
        for name, value in values.items():
            click.echo(f"  {label} {name} = {one_line(json_text(value), VALUE_WIDTH)}")


def links(execution: Execution) -> list[str]:
    """Where the run comes from, and which runs come from it."""
    origin = execution.origin
    lines = []
    if origin is not None:
        begins = f", from {origin.task}" if origin.task else ""
        lines.append(f"{origin.kind} of {origin.run_id} at step {origin.seq}{begins}")
    for fork in execution.forks:
        begins = f", from {fork.task}" if fork.task else ""
        lines.append(f"{fork.kind} at step {fork.seq}{begins}: {fork.run_id}")
    return lines


def _show_tasks(children: Mapping[str, Sequence[TaskExecution]], parent: str, depth: int) -> None:
    for task in children.get(parent, ()):
        icon, colour = LOOKS[task.status]
        indent = "  " * depth
        notes = describe(task)
        name = task.path if task.template_type in CALL_KINDS else task.task_name
        kind = f" ({task.template_type})" if task.template_type in CALL_KINDS else ""
        head = click.style(f"{indent}{icon} {name}{kind} {task.status}", fg=colour)
        click.echo(head + (f"  {notes}" if notes else ""))
        _show_values(indent, "in ", task.inputs)
        _show_values(indent, "out", task.outputs)
        _show_tasks(children, task.task_run_id, depth + 1)


def _show_values(indent: str, label: str, values: Sequence[Value]) -> None:
    for value in values:
        shown = one_line(json_text(value.value), VALUE_WIDTH)
        click.echo(f"{indent}    {label} {value.name} = {shown}")


def _tree(text: bytes) -> Any:
    """A stored document is JSON, except where a run was written in another way."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _write(name: str, page: str) -> None:
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, "utf-8")
    except OSError as exc:
        raise Refused(
            Problem(
                "file-unwritable",
                f"cannot write the file: {exc.strerror or exc}",
                Where(file=name),
                "give a path that can be written",
            )
        ) from exc
