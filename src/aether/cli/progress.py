"""How a run looks while it goes on: a live tree in a terminal, log lines everywhere else."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import click

from ..ports import Execution, TaskExecution
from ..record import Phase
from .result import duration_text

if TYPE_CHECKING:
    from rich.text import Text

Show = Callable[[Execution], None]

LOOKS: dict[Phase, tuple[str, str]] = {
    Phase.CREATED: ("·", "bright_black"),
    Phase.READY: ("○", "cyan"),
    Phase.RUNNING: ("▶", "blue"),
    Phase.SUSPENDED: ("⏸", "yellow"),
    Phase.SUCCEEDED: ("✔", "green"),
    Phase.FAILED: ("✘", "red"),
    Phase.ERROR: ("!", "red"),
    Phase.TIMEOUT: ("⏱", "red"),
    Phase.SKIPPED: ("↷", "bright_black"),
    Phase.CANCELLED: ("⊘", "magenta"),
}
BAD = {Phase.FAILED, Phase.ERROR, Phase.TIMEOUT}
SIBLINGS = 12  # a container with more shows those that matter and counts the others
QUIET = {Phase.CREATED, Phase.READY, Phase.RUNNING}  # a log of these would only be noise


class Line(NamedTuple):
    """One line of the tree: a task run, or a text that stands for several."""

    depth: int
    task: TaskExecution | None
    text: str = ""


def tree_lines(execution: Execution, limit: int) -> list[Line]:
    """The tree of task runs in at most `limit` lines, what is active or went wrong first."""
    children: dict[str, list[TaskExecution]] = {}
    for task in execution.tasks:
        children.setdefault(task.parent_run_id, []).append(task)
    lines = list(_visit(children, children.get("", ()), 0))
    if len(lines) <= limit:
        return lines
    return [*lines[: limit - 1], Line(0, None, f"… {len(lines) - limit + 1} more lines")]


def _visit(
    children: dict[str, list[TaskExecution]], tasks: Sequence[TaskExecution], depth: int
) -> Iterator[Line]:
    shown = tasks
    if len(tasks) > SIBLINGS:
        shown = [task for task in tasks if task.status in BAD or not task.status.is_terminal]
        shown = shown[:SIBLINGS]
    for task in shown:
        yield Line(depth, task)
        yield from _visit(children, children.get(task.task_run_id, ()), depth + 1)
    if len(shown) < len(tasks):
        seen = {id(task) for task in shown}
        counts = Counter(str(task.status) for task in tasks if id(task) not in seen)
        yield Line(depth, None, "… " + ", ".join(f"{n} {phase}" for phase, n in counts.items()))


def describe(task: TaskExecution) -> str:
    """Name, and whatever is worth knowing about the task run besides its phase."""
    notes = []
    if task.metrics.duration is not None and task.status.is_terminal:
        notes.append(took(task.metrics.duration))
    if task.retry_count:
        notes.append(f"retry {task.retry_count}")
    if task.message and task.status is not Phase.SUCCEEDED:
        notes.append(one_line(task.message))
    elif task.waiting_for:
        notes.append(one_line(task.waiting_for))
    return " · ".join(notes)


def took(duration: timedelta | None) -> str:
    """As in results, but what takes less than a millisecond does not read as nothing."""
    text = duration_text(duration)
    return "<1ms" if text == "0s" else text


def one_line(text: str, width: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


@contextmanager
def progress(quiet: bool = False) -> Iterator[Show]:
    """A `show` for `drive`: live in a terminal, lines otherwise, nothing when `quiet`."""
    if quiet:
        yield lambda execution: None
    elif sys.stdout.isatty():
        with _live() as show:
            yield show
    else:
        yield PlainLog()


class PlainLog:
    """One line for each task run that ends, is suspended, begins another attempt or finds no worker."""

    def __init__(self, write: Callable[[str], None] = click.echo) -> None:
        self._write = write
        self._seen: dict[str, tuple[Phase, int]] = {}

    def __call__(self, execution: Execution) -> None:
        news = []
        for task in execution.tasks:
            now = (task.status, task.retry_count)
            before = self._seen.get(task.task_run_id)
            if now == before:
                continue
            self._seen[task.task_run_id] = now
            again = task.retry_count > (before[1] if before else 0)
            if again or task.status not in QUIET or _is_stuck(task):
                news.append(task)
        # A container ends with its last child, and is told after it.
        latest = datetime.max.replace(tzinfo=UTC)
        news.sort(key=lambda task: (task.metrics.finished_at or latest, -task.depth))
        for task in news:
            self._write(self._line(execution, task))

    def _line(self, execution: Execution, task: TaskExecution) -> str:
        when = task.metrics.finished_at or datetime.now(UTC)
        after = max(0.0, (when - execution.created_at).total_seconds())
        icon, colour = LOOKS[task.status]
        notes = describe(task)
        phase = click.style(f"{icon} {task.status:<9}", fg=colour)
        return f"{after:8.3f}s  {phase}  {task.path}" + (f"  {notes}" if notes else "")


def _is_stuck(task: TaskExecution) -> bool:
    """Without this line a log would stay empty for ever, and nobody would know what for."""
    return task.status is Phase.READY and task.waiting_for.startswith("no worker")


def _live() -> AbstractContextManager[Show]:
    # Imported here: nobody but a terminal needs it, and it costs more than all of the rest.
    from rich.console import Console
    from rich.live import Live

    console = Console()

    @contextmanager
    def session() -> Iterator[Show]:
        with Live(console=console, refresh_per_second=10, transient=False) as live:
            yield lambda execution: live.update(_tree(execution, max(5, console.height - 4)))

    return session()


def _tree(execution: Execution, limit: int) -> Text:
    from rich.text import Text

    icon, colour = LOOKS[execution.status]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{icon} {execution.name}", style=f"bold {colour}")
    text.append(f"  {execution.status}  {execution.progress}\n", style="dim")
    for line in tree_lines(execution, limit):
        text.append("  " * (line.depth + 1))
        if line.task is None:
            text.append(line.text + "\n", style="dim")
            continue
        icon, colour = LOOKS[line.task.status]
        text.append(f"{icon} ", style=colour)
        text.append(line.task.path)
        text.append(f"  {line.task.status}", style=colour)
        if notes := describe(line.task):
            text.append(f"  {notes}", style="dim")
        text.append("\n")
    text.right_crop(1)
    return text
