"""Assertion files: what they say, and whether a run, a cron or a refusal is as they say.

In: the file's text and views of `ports.api`. Out: one sentence for each check that does not hold. Never:
running anything; `drive` does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..document import parse_duration
from ..errors import Problem, Refused, Where
from ..ports import CronExecution, Execution, TaskExecution, Value
from ..record import Phase


class TaskAssertion(msgspec.Struct, frozen=True, rename="camel"):
    """None, and empty text, mean "do not check"."""

    task_name: str
    expect_phase: str | None = None
    expect_outputs: dict[str, Any] | None = None
    expect_inputs: dict[str, Any] | None = None
    expect_retry_count: int | None = None
    expect_template_type: str | None = None
    expect_scope: str | None = None
    expect_depth: int | None = None


class Assertions(msgspec.Struct, frozen=True, rename="camel"):
    """One assertion file. Members it does not know are ignored, as the format asks."""

    expect_phase: str | None = None
    expect_task_count: int | None = None
    expect_outputs: dict[str, Any] | None = None
    expect_tasks: list[TaskAssertion] | None = None
    expect_submit_error: str | None = None
    auto_resume_after: str | None = None
    auto_cancel_after: str | None = None
    cron_trigger_count: int | None = None
    expect_run_count: int | None = None
    expect_run_phase: str | None = None
    expect_cancelled_count: int | None = None

    @property
    def resume_seconds(self) -> float | None:
        return _seconds(self.auto_resume_after)

    @property
    def cancel_seconds(self) -> float | None:
        return _seconds(self.auto_cancel_after)


_decode = msgspec.json.Decoder(Assertions).decode


def load_assertions(text: bytes, file: str = "") -> Assertions:
    """Raises Refused `bad-assertions` when `text` is no assertion file."""
    try:
        assertions = _decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise _bad(str(exc), file) from exc
    for member in ("auto_resume_after", "auto_cancel_after"):
        if (value := getattr(assertions, member)) and parse_duration(value) is None:
            raise _bad(f"`{value}` is no duration", file)
    if assertions.cron_trigger_count is not None and assertions.cron_trigger_count < 0:
        raise _bad("`cronTriggerCount` is negative", file)
    return assertions


def check(execution: Execution, assertions: Assertions, platform: Mapping[str, str]) -> list[str]:
    """One line for each check that does not hold. `platform` is what `system.*` says: os and arch."""
    found = []
    if (phase := assertions.expect_phase) and execution.status != phase:
        detail = f" ({execution.message})" if execution.message else ""
        found.append(f"the run is {execution.status}{detail}, expected {phase}")
    count = assertions.expect_task_count
    if count is not None and len(execution.tasks) != count:
        names = ", ".join(task.path for task in execution.tasks[:12])
        more = ", …" if len(execution.tasks) > 12 else ""
        found.append(f"there are {len(execution.tasks)} task runs, expected {count}: {names}{more}")
    found += _subset(
        "output of the run", execution.outputs, assertions.expect_outputs or {}, platform
    )
    return found + check_tasks(execution.tasks, assertions.expect_tasks or (), platform)


def check_tasks(
    tasks: Iterable[TaskExecution], expected: Sequence[TaskAssertion], platform: Mapping[str, str]
) -> list[str]:
    by_name = {task.task_name: task for task in tasks}  # the last created one of a name wins
    found = []
    for want in expected:
        task = by_name.get(want.task_name)
        if task is None:
            found.append(f"task `{want.task_name}`: there is no task run of that name")
        else:
            found += _check_task(task, want, platform)
    return found


def check_cron(
    cron: CronExecution, assertions: Assertions, platform: Mapping[str, str]
) -> list[str]:
    """Checks on the runs of a cron; those about phase and tasks look at the last created run."""
    runs = sorted(cron.runs, key=lambda run: run.created_at)
    found = []
    if assertions.expect_run_count is not None and len(runs) != assertions.expect_run_count:
        found.append(f"there are {len(runs)} runs, expected {assertions.expect_run_count}")
    cancelled = sum(run.status is Phase.CANCELLED for run in runs)
    wanted = assertions.expect_cancelled_count
    if wanted is not None and cancelled != wanted:
        found.append(f"{cancelled} runs are Cancelled, expected {wanted}")
    phase, tasks = assertions.expect_run_phase, assertions.expect_tasks or ()
    if not runs:
        return found + (["there is no run to check"] if phase or tasks else [])
    if phase and runs[-1].status != phase:
        detail = f" ({runs[-1].message})" if runs[-1].message else ""
        found.append(f"the last run is {runs[-1].status}{detail}, expected {phase}")
    return found + check_tasks(runs[-1].tasks, tasks, platform)


def check_refusal(refusal: str | None, assertions: Assertions) -> list[str]:
    """`refusal` is the whole text of all problems of a refused submit; None if it was accepted."""
    wanted = assertions.expect_submit_error
    if refusal is None:
        return [f"submit was accepted, expected a refusal with `{wanted}`"] if wanted else []
    if not wanted:
        return [f"submit was refused:\n{refusal}"]
    return [] if wanted in refusal else [f"submit was refused without `{wanted}`:\n{refusal}"]


def same_json(left: Any, right: Any) -> bool:
    """Equal as decoded JSON: 1 is 1.0, true is not 1, the order of members does not matter."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same_json, left, right))
    return type(left) is type(right) and bool(left == right)


def _check_task(task: TaskExecution, want: TaskAssertion, platform: Mapping[str, str]) -> list[str]:
    name = f"task `{want.task_name}`"
    found = []
    if want.expect_phase and task.status != want.expect_phase:
        detail = (
            f" ({task.message or task.waiting_for})" if task.message or task.waiting_for else ""
        )
        found.append(f"{name} is {task.status}{detail}, expected {want.expect_phase}")
    for what, is_value, expected in (
        ("retry count", task.retry_count, want.expect_retry_count),
        ("template type", task.template_type, want.expect_template_type or None),
        ("scope", task.scope, want.expect_scope or None),
        ("depth", task.depth, want.expect_depth),
    ):
        if expected is not None and is_value != expected:
            found.append(f"{name}: {what} is {is_value!r}, expected {expected!r}")
    found += _subset(f"input of {name}", task.inputs, want.expect_inputs or {}, platform)
    found += _subset(f"output of {name}", task.outputs, want.expect_outputs or {}, platform)
    return found


def _subset(
    what: str, values: Sequence[Value], expected: Mapping[str, Any], platform: Mapping[str, str]
) -> list[str]:
    by_name = {value.name: value.value for value in values}
    found = []
    for name, pattern in expected.items():
        want = _filled_in(pattern, platform)
        if name not in by_name:
            there = ", ".join(by_name) or "none"
            found.append(f"{what}: `{name}` is missing (there: {there})")
        elif by_name[name] is None:
            found.append(f"{what}: `{name}` has no value, expected {_json(want)}")
        elif not same_json(by_name[name], want):
            found.append(f"{what}: `{name}` is {_json(by_name[name])}, expected {_json(want)}")
    return found


def _filled_in(pattern: Any, platform: Mapping[str, str]) -> Any:
    match pattern:
        case "{{runtime.os}}":
            return platform["os"]
        case "{{runtime.arch}}":
            return platform["arch"]
        case dict():
            return {key: _filled_in(value, platform) for key, value in pattern.items()}
        case list():
            return [_filled_in(value, platform) for value in pattern]
    return pattern


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:200] + "…"


def _seconds(text: str | None) -> float | None:
    duration = parse_duration(text) if text else None
    return None if duration is None else duration.total_seconds()


def _bad(what: str, file: str) -> Refused:
    return Refused(
        Problem(
            "bad-assertions",
            f"this is no assertion file: {what}",
            Where(file=file),
            "see docs/running-documents.md for what an assertion file can say",
        )
    )
