"""What the engine says to those who ask for runs that it cannot give them."""

from __future__ import annotations

from ..errors import InvalidState, NotFound, Problem, Refused
from ..record import parse_task_run_id


def stopped() -> InvalidState:
    return InvalidState(
        Problem("engine-stopped", "the engine was stopped", fix="start an engine over the store")
    )


def exists(run_id: str) -> Refused:
    return Refused(
        Problem(
            "run-exists", f"there is a run '{run_id}' already", fix="choose another id, or none"
        )
    )


def unknown(run_id: str) -> NotFound:
    return NotFound(
        Problem("run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id")
    )


def task_number(run_id: str, task_run_id: str) -> int:
    """The number of a task run of that run. Raises NotFound, and InvalidState for another run's."""
    parsed = parse_task_run_id(task_run_id)
    if parsed is None or parsed[2]:
        raise NotFound(
            Problem(
                "task-not-found",
                f"there is no task run '{task_run_id}'",
                fix="take the task run id from the run's list of tasks",
            )
        )
    if parsed[0] != run_id:
        raise InvalidState(
            Problem(
                "foreign-task",
                f"task run '{task_run_id}' belongs to another run than '{run_id}'",
                fix=f"resume it through run '{parsed[0]}'",
            )
        )
    return parsed[1]
