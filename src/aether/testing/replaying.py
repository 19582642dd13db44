"""replay: whether code still fits what was recorded with it.

In: a history, a workflow. Out: nothing, or the words for where they part. Never: a step that is executed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..app.fitting import Fitting
from ..engine import read_lines
from ..record import RunRows
from ..sdk import Workflow
from ..sdk import workflow as workflow_of


async def replay(
    history: str | Path | RunRows | Iterable[bytes], workflow: Workflow[..., Any] | Any
) -> None:
    """Lead `workflow` through `history`, which is the path or the lines of a file that `aether audit export`
    wrote, or rows out of `Environment.record()`. Raises AssertionError, with the recorded call and the one
    the code makes instead, when they do not fit. No step is executed, and nothing is recorded."""
    rows = _rows_of(history)
    if not isinstance(workflow, Workflow):
        workflow = workflow_of(workflow)
    with Fitting([workflow.definition]) as fitting:
        misfit = await fitting.misfit(workflow.name, rows)
    if misfit is not None:
        raise AssertionError(f"run {rows.run.run_id}: {misfit.text}")


def _rows_of(history: str | Path | RunRows | Iterable[bytes]) -> RunRows:
    if isinstance(history, RunRows):
        return history
    if isinstance(history, str | Path):
        with Path(history).open("rb") as lines:
            return read_lines(lines, str(history))
    return read_lines(history)
