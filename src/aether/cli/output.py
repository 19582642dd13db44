"""What `aether run` prints when it is over: outputs, what went wrong, why it still waits, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ..ports import CronExecution, Execution, Fault, TaskExecution, Value
from .progress import BAD, LOOKS, one_line, took

SHOWN_FAULTS = 10
VALUE_WIDTH = 400


def print_run(execution: Execution) -> None:
    icon, colour = LOOKS[execution.status]
    head = click.style(f"{icon} {execution.name} {execution.status}", fg=colour, bold=True)
    after = took(execution.metrics.duration)
    progress = f"  {execution.progress}" if execution.progress else ""
    click.echo(head + (f" in {after}" if after else "") + progress)
    if execution.message:
        click.echo(f"  {one_line(execution.message, VALUE_WIDTH)}")
    for warning in execution.warnings:
        head, *rest = warning.splitlines()
        label, _, text = head.rpartition("]: ") if head.startswith("warning[") else ("", "", head)
        click.echo(click.style(f"  {label + ']' if label else 'warning'}: ", fg="yellow") + text)
        for line in rest:
            click.echo("  " + line)
    print_faults(execution)
    print_hooks(execution)
    print_waiting(execution)
    print_values("outputs", execution.outputs)


def print_cron(cron: CronExecution, runs: Sequence[Execution]) -> None:
    plural = "run" if len(runs) == 1 else "runs"
    click.echo(f"{cron.name}  {cron.schedule} ({cron.timezone})  {len(runs)} {plural}")
    for run in runs:
        print_run(run)


def print_faults(execution: Execution) -> None:
    """The task runs that went wrong themselves; containers only repeat what their children say."""
    bad = [task for task in execution.tasks if task.status in BAD]
    leaves = [task for task in bad if task.template_type == "task"] or bad
    for task in leaves[:SHOWN_FAULTS]:
        icon, colour = LOOKS[task.status]
        line = click.style(f"  {icon} {task.path} {task.status}", fg=colour)
        click.echo(line + (f": {one_line(task.message, VALUE_WIDTH)}" if task.message else ""))
    if len(leaves) > SHOWN_FAULTS:
        click.echo(f"  … and {len(leaves) - SHOWN_FAULTS} more")


def print_hooks(execution: Execution) -> None:
    paths = {task.task_run_id: task.path for task in execution.tasks}
    for hook in execution.hooks[:SHOWN_FAULTS]:
        icon, colour = LOOKS[hook.status]
        of_task = f" of {paths[hook.task_run_id]}" if hook.task_run_id in paths else ""
        line = click.style(f"  {icon} {hook.hook}{of_task}", fg=colour)
        work = f": {hook.template_name} {hook.status}" if hook.template_name else ""
        message = f", {one_line(hook.message)}" if hook.message else ""
        click.echo(line + work + message)
    if len(execution.hooks) > SHOWN_FAULTS:
        click.echo(f"  … and {len(execution.hooks) - SHOWN_FAULTS} more hooks")


def print_waiting(execution: Execution) -> None:
    if execution.status.is_terminal:
        return
    reasons = execution.waiting_for or [
        f"{task.path}: {task.waiting_for}" for task in execution.tasks if task.waiting_for
    ]
    for reason in reasons[:SHOWN_FAULTS]:
        click.echo(click.style("  waits: ", fg="yellow") + one_line(reason, VALUE_WIDTH))
    if len(reasons) > SHOWN_FAULTS:
        click.echo(f"  … and {len(reasons) - SHOWN_FAULTS} more")


def print_values(title: str, values: Sequence[Value]) -> None:
    if not values:
        return
    click.echo(title)
    width = min(max(len(value.name) for value in values), 32)
    for value in values:
        click.echo(f"  {value.name:<{width}}  {one_line(json_text(value.value), VALUE_WIDTH)}")


def print_verdict(mismatches: Sequence[str], file: str) -> None:
    if not mismatches:
        click.echo(click.style(f"✔ every check of {file} holds", fg="green"))
        return
    plural = "check does" if len(mismatches) == 1 else "checks do"
    click.echo(click.style(f"✘ {len(mismatches)} {plural} not hold", fg="red", bold=True))
    for mismatch in mismatches:
        click.echo("  " + mismatch.replace("\n", "\n    "))


def print_stopped(runs: Sequence[Execution], before: Sequence[TaskExecution]) -> None:
    """After Ctrl-C: what it was doing."""
    click.echo(click.style("interrupted: the run was cancelled", fg="magenta", bold=True))
    for task in before[:SHOWN_FAULTS]:
        click.echo(
            f"  was {task.status}: {task.path}"
            + (f" ({task.waiting_for})" if task.waiting_for else "")
        )
    for run in runs:
        if not run.status.is_terminal:
            click.echo(f"  {run.name} has not ended yet: it is {run.status}")


def fault_line(fault: Fault) -> str:
    """Without the ids that a log needs: there is one run, and it is on the screen."""
    text = click.style(f"{fault.severity}: ", fg="yellow") + f"{fault.operation}: {fault.what}"
    return text + (f"; {fault.next}" if fault.next else "")


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
