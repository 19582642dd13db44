"""What becomes of deliveries: of the function itself, and of its activities."""

from __future__ import annotations

from typing import Any

from ..record import ActivityOptions, Phase, TaskRow
from .events import TaskCompleted, TaskHeartbeat, TaskStarted, WorkerLost
from .function_calls import dispatch_activity, end_run, root_started, stop_run
from .function_turn import FunctionTurn
from .functions import BEAT, Call
from .leaf import MAX_LOSSES
from .phase import phase_of
from .retry import wait_before
from .state import DEADLINE, RETRY

_TIMEOUT = 4
_ERROR = 3


def current(turn: FunctionTurn, ordinal: int, epoch: int, delivery: int) -> Call | None:
    """What this fence speaks of, if that delivery is still the one that counts. An activity that is to be
    completed from outside is Suspended, and its delivery still counts."""
    call = turn.state.nodes.get(ordinal)
    if call is None or call.row.kind not in ("workflow", "activity"):
        turn.nothing = f"task run {ordinal} is over"
        return None
    row = call.row
    if epoch != turn.state.run.epoch or delivery != row.delivery:
        turn.nothing = f"delivery {delivery} is over; delivery {row.delivery} counts"
        return None
    if row.phase is Phase.CREATED or (row.phase is Phase.SUSPENDED and row.kind == "workflow"):
        turn.nothing = f"task run {ordinal} is {row.phase}: delivery {delivery} is over"
        return None
    return call


def started(turn: FunctionTurn, event: TaskStarted) -> None:
    call = current(turn, event.ordinal, event.epoch, event.delivery)
    if call is None:
        return
    if call.row.phase is not Phase.READY:
        turn.nothing = f"delivery {event.delivery} has started already"
    elif call.row.ordinal == 0:
        root_started(turn, call, event.worker)
    else:
        _activity_started(turn, call, event.worker)


def _activity_started(turn: FunctionTurn, call: Call, worker: str) -> None:
    """From now on the attempt may take so long, and must be heard of so often."""
    options = call.options
    members: dict[str, Any] = {"started_at": turn.at, "begun": call.row.attempt, "worker": worker}
    members["deadline_at"] = turn.at + options.start_to_close if options.start_to_close else None
    members["beat_by"] = turn.at + options.heartbeat if options.heartbeat else None
    turn.move(call, Phase.RUNNING, **members)
    if options.start_to_close:
        turn.wake_at(call, members["deadline_at"], DEADLINE)
    if options.heartbeat:
        turn.wake_at(call, members["beat_by"], BEAT)


def beat(turn: FunctionTurn, event: TaskHeartbeat) -> None:
    call = current(turn, event.ordinal, event.epoch, event.delivery)
    if call is None:
        return
    if call.row.phase is Phase.READY:
        _activity_started(turn, call, "")
    members: dict[str, Any] = {}
    if call.options.heartbeat:
        members["beat_by"] = turn.at + call.options.heartbeat
        turn.wake_at(call, members["beat_by"], BEAT)
    if event.details is not None:
        members["details"] = event.details
    if members:
        turn.write(call, **members)


def completed(turn: FunctionTurn, event: TaskCompleted) -> None:
    call = current(turn, event.ordinal, event.epoch, event.delivery)
    if call is None:
        return
    if call.row.ordinal == 0:
        _root_completed(turn, call, event)
        return
    if call.row.phase is Phase.READY:
        _activity_started(turn, call, event.worker)
    phase = phase_of(event.code)
    if phase is Phase.SUSPENDED:
        if call.row.phase is phase:
            turn.nothing = f"delivery {event.delivery} waits already: the broker said it twice"
        else:
            turn.move(call, phase, message=event.message, code=event.code)
        return
    attempt_over(turn, call, phase, event.message, event.outputs, event.code, event.error_type)


def _root_completed(turn: FunctionTurn, root: Call, event: TaskCompleted) -> None:
    """An executor that keeps no journal has run it as a whole."""
    if root.row.phase is Phase.READY:
        root_started(turn, root, event.worker)
    phase = phase_of(event.code)
    if phase is Phase.SUSPENDED:
        turn.move(root, phase)
    else:
        end_run(turn, phase, event.message, event.outputs)


def attempt_over(
    turn: FunctionTurn,
    call: Call,
    phase: Phase,
    message: str,
    outputs: bytes | None,
    code: int,
    error_type: str,
    *,
    final: bool = False,
) -> None:
    """An attempt at an activity has come to its end: the answer, or another attempt after a while."""
    row = call.row
    bad = phase is not Phase.SUCCEEDED
    if bad and not final and _grants(call.options, row, error_type):
        wait = wait_before(call.options, turn.state.run.run_id, row)
        turn.move(
            call,
            Phase.CREATED,
            message=message,
            attempt=row.attempt + 1,
            retry_count=row.retry_count + 1,
            deadline_at=None,
            beat_by=None,
            retry_at=turn.at + wait,
            worker="",
        )
        if row.slots is not None:
            turn.write(call, slots=row.slots.released())  # the next attempt waits for its own
        turn.wake_at(call, turn.at + wait, RETRY)
        if not wait:
            dispatch_activity(turn, call)
        return
    turn.end(call, phase, message=message, outputs=outputs, code=code, details=None)
    turn.answer(call)


def _grants(options: ActivityOptions, row: TaskRow, error_type: str) -> bool:
    """`attempts` 0 is no limit."""
    if options.attempts and row.attempt >= options.attempts:
        return False
    return error_type not in options.non_retryable


def overdue(turn: FunctionTurn, call: Call) -> None:
    """The attempt's time is up. One that no worker began is not queued again: the queue is the reason."""
    options = call.options
    turn.call_off(call, "timeout")
    if call.row.phase is Phase.READY:
        seconds = options.schedule_to_start / 1_000_000
        message = f"no worker began it within {seconds:g}s"
        _timed_out(turn, call, message, "schedule-to-start", final=True)
    else:
        message = f"no result within {options.start_to_close / 1_000_000:g}s of its start"
        _timed_out(turn, call, message, "timeout")


def missed_heartbeat(turn: FunctionTurn, call: Call) -> None:
    turn.call_off(call, "heartbeat timeout")
    message = f"no heartbeat within {call.options.heartbeat / 1_000_000:g}s"
    _timed_out(turn, call, message, "heartbeat")


def _timed_out(
    turn: FunctionTurn, call: Call, message: str, error_type: str, *, final: bool = False
) -> None:
    attempt_over(turn, call, Phase.TIMEOUT, message, None, _TIMEOUT, error_type, final=final)


def lost(turn: FunctionTurn, call: Call | None, event: WorkerLost | None = None) -> None:
    """The delivery is lost, the attempt is not: nothing counts as failed. Too many are the fault of what
    was delivered."""
    if event is not None:
        call = current(turn, event.ordinal, event.epoch, event.delivery)
    if call is None:
        return
    row = call.row
    if row.phase is Phase.RUNNING:
        turn.write(call, losses=row.losses + 1)
    if row.losses >= MAX_LOSSES:
        message = f"{MAX_LOSSES} workers were lost while they ran this"
        if row.ordinal == 0:
            stop_run(turn, Phase.ERROR, message)
        else:
            attempt_over(turn, call, Phase.ERROR, message, None, _ERROR, "lost", final=True)
    elif row.ordinal == 0:
        turn.write(call, worker="")
        turn.hand_out_root(call)
    else:
        turn.write(call, worker="")
        dispatch_activity(turn, call)
