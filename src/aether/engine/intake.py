"""What brokers report, on its way to becoming an event: checked, encoded, secrets blotted out."""

from __future__ import annotations

import msgspec

from ..errors import ProblemError
from ..plan import AnyState, HookCompleted, HookStarted, TaskCompleted, TaskStarted
from ..ports import ERROR, SUCCEEDED, Fence, Schema, TaskResult
from ..record import Instant, decode_raw_values, decode_values, encode_json, encode_values
from ..validate import fits
from .secrets import blot_text, blot_values
from .sizes import Sizes

_LONGEST_MESSAGE = 16_384


def started(
    number: int, is_hook: bool, fence: Fence, worker_id: str, at: Instant
) -> TaskStarted | HookStarted:
    if is_hook:
        return HookStarted(number, fence.delivery, at)
    return TaskStarted(number, fence.epoch, fence.delivery, worker_id, at)


def completed(
    number: int,
    is_hook: bool,
    result: TaskResult,
    schema: Schema | None,
    secrets: frozenset[str],
    at: Instant,
    sizes: Sizes,
    state: AnyState | None,
) -> TaskCompleted | HookCompleted:
    """The result as a fact. One whose values have no JSON form, cannot be read, are too large or break a
    closed schema is an error. `state` is that of the run, if it is at hand."""
    outcome = result.outcome
    code, message, error_type = outcome.code, outcome.message, outcome.error_type
    outputs = result.outputs
    try:
        if outputs is None and outcome.parameters:
            outputs = encode_values(outcome.parameters)
        elif outputs is not None:
            decode_raw_values(outputs)
        artifacts = encode_json(outcome.artifacts) if outcome.artifacts else None
    except msgspec.DecodeError as error:
        code, message, error_type = ERROR, f"the outputs could not be read: {error}", "bad-outputs"
        outputs = artifacts = None
    except ProblemError as error:
        code, message, error_type = ERROR, error.problems[0].what, error.code
        outputs = artifacts = None
    if fault := sizes.result(outputs, artifacts):
        whose = _whose(number, is_hook, state)
        message = f"the result of {whose} is refused: {fault}"
        code, error_type = ERROR, "payload-too-large"
        outputs = artifacts = None
    if schema is not None and schema.outputs is not None and code == SUCCEEDED:
        fault = _breaks(schema, outputs)
        if fault:
            code, message, error_type = ERROR, fault, "output-schema"
    if secrets:
        message = blot_text(message, secrets)
        outputs = blot_values(outputs, secrets)
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + "… (cut)"
    fence = result.fence
    if is_hook:
        return HookCompleted(number, fence.delivery, at, code, message, outputs)
    return TaskCompleted(
        number,
        fence.epoch,
        fence.delivery,
        at,
        code,
        message,
        outputs,
        error_type,
        result.worker_id,
        artifacts,
    )


def _whose(number: int, is_hook: bool, state: AnyState | None) -> str:
    node = None if state is None or is_hook else state.nodes.get(number)
    if node is not None:
        return f"task '{node.row.task_name}'"
    return f"{'hook' if is_hook else 'task'} run {number}"


def _breaks(schema: Schema, outputs: bytes | None) -> str:
    """How `outputs` break what a closed schema declares; "" if they do not."""
    declared = {field.name: field for field in schema.outputs or ()}
    values = {value.name: value.value for value in decode_values(outputs)}
    for name, value in values.items():
        field = declared.get(name)
        if field is None:
            return f"executor '{schema.type}' returned '{name}', which its schema does not declare"
        if value is not None and not fits(field.type, value):
            return f"executor '{schema.type}' returned '{name}' as {type(value).__name__}, not {field.type}"
    missing = [f.name for f in declared.values() if f.required and values.get(f.name) is None]
    return f"executor '{schema.type}' did not return '{missing[0]}'" if missing else ""
