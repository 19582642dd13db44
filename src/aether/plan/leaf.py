"""Leaves: what a result, a deadline, a resume or a lost worker does to a task."""

from __future__ import annotations

from functools import partial

from ..errors import InvalidExpression, InvalidState, NotFound, Problem
from ..expr import Env
from ..record import Phase, decode_values
from .artifacts import uploaded
from .binding import Warn, merge
from .env import leaf_env
from .events import TaskCompleted, TaskResumed, TaskStarted, WorkerLost
from .hooks import fire, fire_task_end
from .limits import queue_up, release
from .nodes import begin_attempt, dispatch_or_hold, release_held, started
from .outputs import keep_declared
from .phase import phase_of
from .retry import grants, wait_before
from .spec import Conditions
from .state import RETRY, Node
from .turn import Turn

MAX_LOSSES = 10
# Looking a phase up in its class runs Python code: the hot path has them at hand.
_READY, _RUNNING, _SUSPENDED = Phase.READY, Phase.RUNNING, Phase.SUSPENDED
_AT_WORK = (_READY, _RUNNING)


def on_started(turn: Turn, event: TaskStarted) -> None:
    node = _current(turn, event.ordinal, event.epoch, event.delivery)
    if node is None:
        return
    if node.row.phase is not _READY:
        turn.nothing = f"delivery {event.delivery} has started already"
        return
    started(turn, node, event.worker)


def on_completed(turn: Turn, event: TaskCompleted) -> None:
    node = _current(turn, event.ordinal, event.epoch, event.delivery)
    if node is None:
        return
    if node.row.phase is _READY:
        started(turn, node, event.worker)
    if event.artifacts is not None:
        places = uploaded(node.spec, turn.state.run.run_id, event.ordinal, event.artifacts)
        turn.set_task(node, artifacts_out=places)
    finish_attempt(
        turn, node, event.code, event.message, event.outputs, error_type=event.error_type
    )
    release_held(turn)


def finish_attempt(
    turn: Turn,
    node: Node,
    code: int,
    message: str,
    outputs: bytes | None,
    *,
    error_type: str = "",
) -> None:
    """An attempt has come to `code`: suspended, tried again, or over."""
    phase = phase_of(code)
    conditions = node.spec.conditions
    if conditions is not None:
        warn = partial(turn.warn, node.row.ordinal)
        phase = judge(conditions, phase, leaf_env(phase, code, message, outputs), warn)
    if phase is _SUSPENDED:
        _suspend(turn, node, code, message, outputs)
        return
    if try_again(turn, node, phase, code, message, outputs, error_type):
        return
    outputs = keep_declared(node.spec, outputs)
    turn.end(node, phase, message, code=code, outputs=outputs)
    fire_task_end(turn, node)


def judge(conditions: Conditions, base: Phase, env: Env, warn: Warn) -> Phase:
    """The phase of the first condition that is true, else `base`."""
    for phase, program in conditions.programs:
        try:
            verdict = program.evaluate(env)
        except InvalidExpression as exc:
            warn(f"phase condition '{program.text}' counts as false: {exc.problems[0].what}")
            continue
        if verdict is True or verdict == "true":
            return phase
    return base


def try_again(
    turn: Turn,
    node: Node,
    phase: Phase,
    code: int,
    message: str,
    outputs: bytes | None,
    error_type: str,
) -> bool:
    """Grant a retry if the policy says so: at once, or after its back-off."""
    retry = node.spec.retry
    if retry is None:
        return False
    row = node.row
    warn = partial(turn.warn, row.ordinal)
    if not grants(retry, row, phase, code, message, outputs, error_type, warn):
        return False
    wait = wait_before(retry, turn.state.run.run_id, row)
    turn.move(
        node,
        Phase.CREATED,
        message=message if wait else "",
        code=None,
        outputs=None,
        attempt=row.attempt + 1,
        retry_count=row.retry_count + 1,
        deadline_at=None,
        retry_at=turn.at + wait if wait else None,
        worker="",
    )
    release(turn, node)
    node.scope = None
    if wait:
        turn.wake_at(node, turn.at + wait, RETRY)
    else:
        begin_attempt(turn, node)
    return True


def retry_due(turn: Turn, node: Node) -> None:
    turn.set_task(node, retry_at=None, message="")
    begin_attempt(turn, node)


def on_resumed(turn: Turn, event: TaskResumed) -> None:
    """Suspended to Ready: the same attempt, the next delivery, the same deadline. In a paused run, or
    one without a free slot, it waits for its turn as Created."""
    node = turn.state.nodes.get(event.ordinal)
    if event.ordinal >= turn.state.run.total:
        raise NotFound(
            Problem(
                "task-not-found",
                f"run {turn.state.run.run_id} has no task run {event.ordinal}",
                fix="take the task run id from the run's list of tasks",
            )
        )
    if node is None or node.row.phase is not _SUSPENDED:
        phase = node.row.phase if node else "over"
        raise InvalidState(
            Problem(
                "not-suspended",
                f"task run {event.ordinal} is not suspended: it is {phase}",
                fix="resume a task run whose status is Suspended, and only once",
            )
        )
    inputs = merge(node.row.inputs, decode_values(event.payload))
    turn.set_task(node, inputs=inputs)
    if node.spec.limits:
        queue_up(turn, node)
    else:
        dispatch_or_hold(turn, node)
    fire(turn, "onResume", node)


def on_worker_lost(turn: Turn, event: WorkerLost) -> None:
    node = _current(turn, event.ordinal, event.epoch, event.delivery)
    if node is not None:
        deliver_again(turn, node)
        release_held(turn)


def deliver_again(turn: Turn, node: Node) -> None:
    """The delivery is lost, the attempt is not: nothing counts as failed, unless the task wants that."""
    row = node.row
    if row.phase is _RUNNING:
        turn.set_task(node, losses=row.losses + 1)
        if node.spec.fails_when_lost:
            message = "worker-lost: the worker that ran this attempt is gone"
            finish_attempt(turn, node, 3, message, None, error_type="worker-lost")
            return
    if row.losses >= MAX_LOSSES:
        message = f"worker-lost: {MAX_LOSSES} workers were lost while they ran this task"
        turn.end(node, Phase.ERROR, message, code=3)
        fire_task_end(turn, node)
        return
    turn.set_task(node, worker="")
    dispatch_or_hold(turn, node)


def overdue(turn: Turn, node: Node) -> None:
    """The attempt's time is up, wherever it was: queued, running or suspended."""
    row = node.row
    if row.phase is not _SUSPENDED:
        turn.cancel(node, "timeout")
    seconds = node.spec.timeout / 1_000_000
    finish_attempt(turn, node, 4, f"no result within {seconds:g}s", None, error_type="timeout")


def _suspend(turn: Turn, node: Node, code: int, message: str, outputs: bytes | None) -> None:
    """Partial outputs join those of earlier suspensions; the final result replaces them all."""
    merged = node.row.outputs
    if outputs:
        merged = merge(merged, decode_values(outputs))
    turn.move(node, _SUSPENDED, message=message, code=code, outputs=merged)
    release(turn, node)
    fire(turn, "onSuspend", node)


def _current(turn: Turn, ordinal: int, epoch: int, delivery: int) -> Node | None:
    """The leaf that this fence speaks of, if that delivery is still the one that counts."""
    state = turn.state
    node = state.nodes.get(ordinal)
    if node is None or node.spec.body is not None:
        known = 0 <= ordinal < state.run.total
        turn.nothing = f"task run {ordinal} is {'over' if known else 'unknown'}"
        return None
    row = node.row
    if epoch != state.run.epoch or delivery != row.delivery:
        turn.nothing = f"delivery {delivery} is over; delivery {row.delivery} counts"
        return None
    if row.phase not in _AT_WORK:
        turn.nothing = f"task run {ordinal} is {row.phase}: delivery {delivery} is over"
        return None
    return node
