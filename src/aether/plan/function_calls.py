"""What a function run tells of itself: a row for each durable call, and how the run ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import EngineBug
from ..record import (
    ActivityScheduled,
    ChildStarted,
    Completed,
    Continued,
    Dropped,
    Failed,
    Noted,
    Parked,
    Path,
    Phase,
    StatusSet,
    StepDone,
    Stopped,
    Stuck,
    TaskRow,
    TimerStarted,
    UpdateAnswered,
    WaitOpened,
)
from .events import CancelChild, JournalAppended, StartChild
from .function_turn import FunctionTurn
from .functions import EXECUTOR_OF_FUNCTION, EXECUTOR_OF_TEMPLATE, STUCK, Call
from .limits import in_line
from .state import DEADLINE


def appended(turn: FunctionTurn, event: JournalAppended) -> None:
    state = turn.state
    if not state.serves(event.epoch, event.delivery):
        turn.superseded.append(event)
        turn.nothing = f"delivery {event.delivery} of the function is over"
        return
    root = state.root
    assert root is not None, "serves() asked for it"
    if root.row.phase is Phase.READY:
        root_started(turn, root, "")
    if root.row.losses:
        turn.write(root, losses=0)  # it gets on: those workers are not to be held against it
    after = event.after
    state.acknowledge(after)
    for fact in event.facts:
        _FACTS[type(fact)](turn, after, fact)


def root_started(turn: FunctionTurn, root: Call, worker: str) -> None:
    row = root.row
    members: dict[str, Any] = {"worker": worker} if worker else {}
    if row.started_at is None:
        members["started_at"] = turn.at
        members["begun"] = 1
    turn.move(root, Phase.RUNNING, **members)
    if turn.state.run.phase is Phase.READY:
        turn.move_run(Phase.RUNNING, started_at=turn.at)


# Calls


def _step(turn: FunctionTurn, after: int, fact: StepDone) -> None:
    path = fact.path
    state = turn.state
    retry_at = fact.retry_at
    if retry_at is not None:
        phase = Phase.CREATED
    else:
        phase = Phase.FAILED if fact.error_type else Phase.SUCCEEDED
    call = state.by_path.get((path.scope, path.name))
    if call is not None:
        _step_again(turn, after, fact, call, phase)
        return
    row = TaskRow(
        ordinal=state.run.total,
        parent=0,
        depth=1,
        scope=path.scope,
        task_name=path.name,
        template_name=fact.where,
        kind="step",
        created_at=turn.at,
        phase=phase,
        message=fact.message,
        inputs=fact.inputs,
        outputs=fact.outputs,
        attempt=fact.attempt,
        retry_count=fact.attempt - 1,
        started_at=fact.started_at,
        finished_at=fact.finished_at,
        retry_at=retry_at,
        order=after,
    )
    if retry_at is None:
        turn.add(row)
    else:
        row.finished_at = None
        turn.create(row)


def _step_again(turn: FunctionTurn, after: int, fact: StepDone, call: Call, phase: Phase) -> None:
    """Another attempt at a step. The function itself waits to try it again: with a timer, if it is long."""
    row = call.row
    if row.kind != "step":
        raise EngineBug(f"a step has the path of the {row.kind} '{row.task_name}'")
    members: dict[str, Any] = {
        "message": fact.message,
        "outputs": fact.outputs,
        "attempt": fact.attempt,
        "retry_count": fact.attempt - 1,
        "started_at": fact.started_at,
        "order": after,
    }
    if phase.is_terminal:
        turn.end(call, phase, finished_at=fact.finished_at, **members)
        return
    turn.move(call, phase, retry_at=fact.retry_at, **members)


def _new(turn: FunctionTurn, path: Path, where: str, kind: str, **members: Any) -> TaskRow:
    return TaskRow(
        ordinal=turn.state.run.total,
        parent=0,
        depth=1,
        scope=path.scope,
        task_name=path.name,
        template_name=where,
        kind=kind,
        created_at=turn.at,
        **members,
    )


def _timer(turn: FunctionTurn, after: int, fact: TimerStarted) -> None:
    row = _new(turn, fact.path, fact.where, "timer", phase=Phase.RUNNING, deadline_at=fact.due_at)
    row.started_at = turn.at
    call = turn.create(row)
    if fact.due_at <= turn.at and turn.state.run.paused_at is None:
        timer_fired(turn, call)


def timer_fired(turn: FunctionTurn, call: Call) -> None:
    turn.end(call, Phase.SUCCEEDED)
    turn.answer(call)


def _wait(turn: FunctionTurn, after: int, fact: WaitOpened) -> None:
    row = _new(turn, fact.path, fact.where, "wait", phase=Phase.SUSPENDED)
    row.deadline_at, row.started_at = fact.deadline_at, turn.at
    call = turn.create(row)
    signal = turn.state.take_signal(fact.path.name)
    if signal is not None:
        payload = signal.row.outputs
        turn.end(signal, Phase.SUCCEEDED)
        resolved(turn, call, payload)
    elif row.deadline_at is not None and row.deadline_at <= turn.at:
        if turn.state.run.paused_at is None:
            wait_over(turn, call)


def resolved(turn: FunctionTurn, wait: Call, payload: bytes | None) -> None:
    """The oldest wait for a signal has it."""
    turn.end(wait, Phase.SUCCEEDED, outputs=payload)
    turn.answer(wait)


def wait_over(turn: FunctionTurn, wait: Call) -> None:
    message = f"no signal '{wait.row.task_name}' came in time"
    turn.end(wait, Phase.TIMEOUT, message=message)
    turn.answer(wait)


def _activity(turn: FunctionTurn, after: int, fact: ActivityScheduled) -> None:
    row = _new(turn, fact.path, fact.where, "activity", inputs=fact.inputs)
    row.executor, row.options = fact.executor, fact.options or None
    dispatch_activity(turn, turn.create(row))


def dispatch_activity(turn: FunctionTurn, call: Call) -> None:
    """To a worker; in a paused run, or without the slots that it needs, it waits as Created."""
    row = call.row
    if row.phase is not Phase.CREATED:
        turn.move(call, Phase.CREATED)
    if call.options.limits and (row.slots is None or row.slots.taken is None):
        if row.slots is None or not row.slots.waits:
            _queue_up(turn, call)
        return
    if turn.state.run.paused_at is not None:
        return
    members: dict[str, Any] = {"retry_at": None, "deadline_at": None, "beat_by": None}
    if call.options.schedule_to_start:
        members["deadline_at"] = turn.at + call.options.schedule_to_start
        turn.wake_at(call, members["deadline_at"], DEADLINE)
    turn.dispatch(call, **members)


def _queue_up(turn: FunctionTurn, call: Call) -> None:
    """It waits, as Created, for a slot of each of its keys."""
    options = call.options
    slots = in_line(turn, options.limits, options.priority, call.row.slots)
    turn.write(call, slots=slots, retry_at=None, deadline_at=None, beat_by=None)


def _child(turn: FunctionTurn, after: int, fact: ChildStarted) -> None:
    row = _new(turn, fact.path, fact.where, "child", inputs=fact.inputs)
    if fact.template:
        row.executor = EXECUTOR_OF_TEMPLATE + fact.template
    else:
        row.executor = EXECUTOR_OF_FUNCTION + fact.function
    row.options, row.worker = fact.options or None, fact.run_id
    start_child(turn, turn.create(row))


def start_child(turn: FunctionTurn, call: Call) -> None:
    """Nothing begins in a paused run."""
    if turn.state.run.paused_at is None:
        turn.move(call, Phase.RUNNING, started_at=turn.at)
        turn.commands.append(StartChild(call.row.ordinal))


def _note(turn: FunctionTurn, after: int, fact: Noted) -> None:
    row = _new(turn, fact.path, fact.where, "note", phase=Phase.SUCCEEDED, outputs=fact.outputs)
    row.finished_at = turn.at
    turn.add(row)


def _update_answered(turn: FunctionTurn, after: int, fact: UpdateAnswered) -> None:
    call = turn.state.nodes.get(fact.ordinal)
    if call is None or call.row.kind != "update":
        turn.nothing = f"{fact.ordinal} is no update that waits for its answer"
        return
    phase = Phase.FAILED if fact.error_type else Phase.SUCCEEDED
    turn.end(call, phase, outputs=fact.outputs, message=fact.message)


def _status(turn: FunctionTurn, after: int, fact: StatusSet) -> None:
    if fact.status is not None:
        turn.set_run(status=fact.status)
    if fact.attributes is not None:
        turn.set_run(attributes={**(turn.state.run.attributes or {}), **fact.attributes})


def _dropped(turn: FunctionTurn, after: int, fact: Dropped) -> None:
    call = turn.state.by_path.get((fact.path.scope, fact.path.name))
    if call is None:
        turn.nothing = f"'{fact.path.name}' is over"
    else:
        abandon(turn, call, "the function waits for it no more", whatever=True)


# The run


def _parked(turn: FunctionTurn, after: int, fact: Parked) -> None:
    root = turn.state.root
    if root is None or root.row.phase.is_terminal or after < turn.state.answered:
        turn.nothing = "there are answers that the function has not seen"
        return
    turn.move(root, Phase.SUSPENDED)


def _stuck(turn: FunctionTurn, after: int, fact: Stuck) -> None:
    root = turn.state.root
    assert root is not None, "the fact came from its delivery"
    turn.move(root, Phase.SUSPENDED, message=fact.message, code=STUCK)
    turn.set_run(message=fact.message)


def _completed(turn: FunctionTurn, after: int, fact: Completed) -> None:
    end_run(turn, Phase.SUCCEEDED, "", fact.outputs)


def _failed(turn: FunctionTurn, after: int, fact: Failed) -> None:
    end_run(turn, Phase.FAILED, fact.message, fact.outputs)


def _stopped(turn: FunctionTurn, after: int, fact: Stopped) -> None:
    end_run(turn, Phase.CANCELLED, turn.state.cancel_message or "it stopped itself")


def _continued(turn: FunctionTurn, after: int, fact: Continued) -> None:
    """The function is over; the run is, once the one that goes on in its place exists."""
    state = turn.state
    _end_calls(turn, "the function began anew")
    row = _new(turn, Path("", "continue"), "", "continue", inputs=fact.inputs)
    row.executor, row.worker = state.plan.entry.executor, fact.run_id
    row.phase, row.started_at = Phase.RUNNING, turn.at
    turn.create(row)
    turn.commands.append(StartChild(row.ordinal))
    assert state.root is not None, "the fact came from its delivery"
    turn.end(state.root, Phase.SUCCEEDED, message=f"continued as {fact.run_id}")


def end_run(turn: FunctionTurn, phase: Phase, message: str, outputs: bytes | None = None) -> None:
    """Nothing of it goes on, except children that are to."""
    state = turn.state
    root = state.root
    if state.run.phase.is_terminal:
        turn.nothing = "the run is over"
        return
    _end_calls(turn, message or "the function is over")
    if root is not None and not root.row.phase.is_terminal:
        turn.end(root, phase, message=message, outputs=outputs, code=None)
    turn.move_run(phase, message=message, outputs=outputs, finished_at=turn.at)


def stop_run(turn: FunctionTurn, phase: Phase, message: str) -> None:
    """As `end_run`, but the function does not know yet: whoever runs it is told."""
    root = turn.state.root
    if root is not None and not root.row.phase.is_terminal:
        turn.call_off(root, message)
    end_run(turn, phase, message)


def _end_calls(turn: FunctionTurn, why: str) -> None:
    if len(turn.state.nodes) == (0 in turn.state.nodes):  # the function itself, or nothing at all
        return
    for call in list(turn.state.nodes.values()):
        if call.row.ordinal:
            abandon(turn, call, why)


def abandon(turn: FunctionTurn, call: Call, why: str, *, whatever: bool = False) -> None:
    """Nobody waits for this any more. A child goes on if it is to, unless it is given up `whatever`."""
    row = call.row
    phase = Phase.CANCELLED
    if row.kind == "activity":
        turn.call_off(call, why)
    elif row.kind == "child":
        if whatever or call.child.on_parent_end == "cancel":
            turn.commands.append(CancelChild(row.worker, why))
        else:
            why = f"goes on without its parent: {why}"
    elif row.kind == "continue":
        turn.commands.append(CancelChild(row.worker, why))
    elif row.kind == "signal":
        phase, why = Phase.SKIPPED, "nobody waited for it"
    elif row.kind == "update":
        why = "the run ended before it was answered"
    turn.end(call, phase, message=why)


_FACTS: dict[type, Callable[[FunctionTurn, int, Any], None]] = {
    StepDone: _step,
    TimerStarted: _timer,
    WaitOpened: _wait,
    ActivityScheduled: _activity,
    ChildStarted: _child,
    Noted: _note,
    UpdateAnswered: _update_answered,
    StatusSet: _status,
    Dropped: _dropped,
    Parked: _parked,
    Stuck: _stuck,
    Completed: _completed,
    Failed: _failed,
    Stopped: _stopped,
    Continued: _continued,
}
