"""What comes to a function run from outside: workers, signals, people, time. And `decide` for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from ..errors import InvalidState, NotFound, Problem
from ..record import NamedValue, Phase, TaskRow, encode_values
from . import events as ev
from .events import Decision, Event, StartChild
from .function_activities import (
    beat,
    completed,
    lost,
    missed_heartbeat,
    overdue,
    started,
)
from .function_calls import (
    appended,
    dispatch_activity,
    end_run,
    resolved,
    start_child,
    stop_run,
    timer_fired,
    wait_over,
)
from .function_turn import FunctionTurn
from .functions import BEAT, CONTINUED, STUCK, Call, FunctionState
from .lifecycle import must_be_open
from .limits import RUN, granted_to, is_held
from .state import DEADLINE, RETRY


def decide_function(state: FunctionState, events: Iterable[Event]) -> Decision:
    """As `decide_all`."""
    turn: FunctionTurn | None = None
    for event in events:
        if turn is None:
            turn = _begin(state, event)
        elif event.at > turn.at:
            turn.at = event.at
        _HANDLERS[type(event)](turn, event)
    assert turn is not None, "a decision needs an event"
    return turn.decision()


def _begin(state: FunctionState, event: Event) -> FunctionTurn:
    if isinstance(event, ev.RunSubmitted):
        state.begin(copy(event.run))  # the event must stay as it is: it may be decided again
        return FunctionTurn(state, event.at, fresh_run=True)
    return FunctionTurn(state, event.at)


def _submitted(turn: FunctionTurn, event: ev.RunSubmitted) -> None:
    """A run that names an instant as due does not begin before."""
    state = turn.state
    run, entry = state.run, state.plan.entry
    row = TaskRow(
        ordinal=0,
        task_name=entry.name,
        kind="workflow",
        executor=entry.executor,
        created_at=turn.at,
        inputs=run.arguments,
    )
    if run.due_at is not None and run.due_at > turn.at:
        row.retry_at = run.due_at
    root = turn.create(row)
    if row.retry_at is None:
        turn.hand_out_root(root)


# Signals and updates


def _signal(turn: FunctionTurn, event: ev.SignalReceived) -> None:
    state = turn.state
    if _is_known(turn, event.key):
        return
    must_be_open(state, "signalled")
    row = _from_outside(turn, "signal", event.name, event.key)
    row.outputs = event.payload
    waits = state.waits.get(event.name)
    if waits:
        row.phase, row.finished_at = Phase.SUCCEEDED, turn.at
        turn.add(row)
        resolved(turn, next(iter(waits.values())), event.payload)
    else:
        turn.create(row)


def _update(turn: FunctionTurn, event: ev.UpdateRequested) -> None:
    if _is_known(turn, event.key):
        return
    must_be_open(turn.state, "updated")
    row = _from_outside(turn, "update", event.name, event.key)
    row.inputs, row.phase, row.started_at = event.payload, Phase.RUNNING, turn.at
    turn.answer(turn.create(row))


def _is_known(turn: FunctionTurn, key: str) -> bool:
    if key and key in turn.state.keys:
        turn.nothing = f"'{key}' came before"
        return True
    return False


def _from_outside(turn: FunctionTurn, kind: str, name: str, key: str) -> TaskRow:
    ordinal = turn.state.run.total
    if key:
        turn.state.keys[key] = ordinal
    return TaskRow(
        ordinal=ordinal,
        parent=0,
        depth=1,
        scope=f"!{ordinal}",
        task_name=name,
        template_name=key,
        kind=kind,
        created_at=turn.at,
    )


# Children


def _child_began(turn: FunctionTurn, event: ev.ChildBegan) -> None:
    call = turn.state.nodes.get(event.ordinal)
    if call is None or call.row.kind != "continue":
        turn.nothing = f"{event.ordinal} waits for no run to begin"
        return
    turn.end(call, Phase.SUCCEEDED)
    following = call.row.worker
    outputs = encode_values([NamedValue(CONTINUED, "string", following)])
    end_run(turn, Phase.SUCCEEDED, f"continued as {following}", outputs)


def _child_ended(turn: FunctionTurn, event: ev.ChildEnded) -> None:
    call = turn.state.nodes.get(event.ordinal)
    if call is None or call.row.kind not in ("child", "continue"):
        turn.nothing = f"{event.ordinal} waits for no run"
        return
    if call.row.kind == "continue":  # it could not begin
        turn.end(call, event.phase, message=event.message)
        end_run(turn, event.phase, event.message)
        return
    turn.end(call, event.phase, message=event.message, outputs=event.outputs, worker=event.run_id)
    turn.answer(call)


# The whole run


def _cancelled(turn: FunctionTurn, event: ev.RunCancelled) -> None:
    """The function hears of it as an answer, and may clean up; one that no worker ever began, or that
    cannot go on, ends at once."""
    state = turn.state
    must_be_open(state, "cancelled")
    root = state.root
    message = f"cancelled by {event.by}"
    if root is None or root.row.started_at is None or root.row.code == STUCK:
        deaf = True
    else:
        deaf = root.row.phase.is_terminal  # it waits for the run that continues it to begin
    if event.force or deaf:
        stop_run(turn, Phase.CANCELLED, message)
        return
    if state.cancel_message:
        turn.nothing = "it is being cancelled already"
        return
    if state.run.paused_at is not None:
        _go_on(turn)
    state.cancel_message = message
    row = _from_outside(turn, "cancel", "cancel", "")
    row.message = message
    call = turn.create(row)
    turn.end(call, Phase.SUCCEEDED)
    turn.answer(call)


def _run_failed(turn: FunctionTurn, event: ev.RunFailed) -> None:
    if not turn.state.run.phase.is_terminal:
        stop_run(turn, Phase.ERROR, event.message)


def _paused(turn: FunctionTurn, event: ev.RunPaused) -> None:
    must_be_open(turn.state, "paused")
    if turn.state.run.paused_at is not None:
        turn.nothing = "the run is paused already"
        return
    turn.set_run(paused_at=turn.at, paused_by=event.by)


def _unpaused(turn: FunctionTurn, event: ev.RunUnpaused) -> None:
    must_be_open(turn.state, "unpaused")
    if turn.state.run.paused_at is None:
        turn.nothing = "the run is not paused"
        return
    _go_on(turn)
    _look_at_time(turn)


def _go_on(turn: FunctionTurn) -> None:
    """Time stood still: all that is due moves by as long as the pause was. What was held back goes."""
    state = turn.state
    run = state.run
    assert run.paused_at is not None, "only a paused run goes on"
    stood = turn.at - run.paused_at
    turn.set_run(paused_at=None, paused_by="")
    if run.deadline_at is not None:
        turn.set_run(deadline_at=run.deadline_at + stood)
    for call in list(state.nodes.values()):
        if call.row.kind == "step":
            continue
        for name, kind in _INSTANTS:
            instant = getattr(call.row, name)
            if instant is not None:
                turn.write(call, **{name: instant + stood})
                turn.wake_at(call, instant + stood, kind)
        if call.row.phase is Phase.CREATED and call.row.retry_at is None:
            _release(turn, call)


_INSTANTS = (("deadline_at", DEADLINE), ("retry_at", RETRY), ("beat_by", BEAT))


def _release(turn: FunctionTurn, call: Call) -> None:
    kind = call.row.kind
    if kind == "workflow":
        turn.hand_out_root(call)
    elif kind == "activity":
        dispatch_activity(turn, call)
    elif kind == "child":
        start_child(turn, call)


def _taken_over(turn: FunctionTurn, event: ev.RunTakenOver) -> None:
    """Another engine goes on: what was on its way is delivered again, behind a new fence, and runs that
    were to begin are begun if they have not."""
    state = turn.state
    if state.finished:
        turn.nothing = "the run is over"
        return
    turn.set_run(epoch=state.run.epoch + 1)
    if event.owner:
        turn.set_run(owner=event.owner)
        state.run.claimed = 0  # the claim is made good
    for call in list(state.nodes.values()):
        row = call.row
        if row.kind == "workflow" and row.phase is Phase.SUSPENDED and row.code == STUCK:
            turn.hand_out_root(call)
        elif row.kind in ("workflow", "activity"):
            if row.phase is Phase.READY or row.phase is Phase.RUNNING:
                lost(turn, call)
        elif row.kind in ("child", "continue") and row.phase is Phase.RUNNING:
            turn.commands.append(StartChild(row.ordinal))


def _resumed(turn: FunctionTurn, event: ev.TaskResumed) -> None:
    """A function that is stuck is tried again; a wait takes the payload for its signal."""
    state = turn.state
    call = state.nodes.get(event.ordinal)
    if event.ordinal >= state.run.total:
        raise NotFound(
            Problem(
                "task-not-found",
                f"run {state.run.run_id} has no task run {event.ordinal}",
                fix="take the task run id from the run's list of tasks",
            )
        )
    if call is not None and call.row.kind == "wait":
        resolved(turn, call, event.payload)
    elif call is not None and call is state.root and call.row.phase is Phase.SUSPENDED:
        turn.hand_out_root(call)
    else:
        raise InvalidState(
            Problem(
                "not-suspended",
                f"task run {event.ordinal} does not wait to be resumed",
                fix="resume the function of a run that is stuck, or a wait for a signal",
            )
        )


def _code_served(turn: FunctionTurn, event: ev.CodeServed) -> None:
    root = turn.state.root
    if root is None or root.row.code != STUCK or root.row.phase is not Phase.SUSPENDED:
        turn.nothing = "the run is not stuck"
        return
    turn.hand_out_root(root)


def _granted(turn: FunctionTurn, event: ev.SlotsGranted) -> None:
    """Time in line is no time of the run's."""
    state = turn.state
    run = state.run
    turn.nothing = "the slots are wanted no more"
    if run.phase.is_terminal or run.paused_at is not None:
        return
    if event.ordinal == RUN:
        slots = granted_to(run.slots, event)
        if slots is not None and state.root is not None:
            turn.set_run(slots=slots)
            if run.deadline_at is not None:
                turn.set_run(deadline_at=run.deadline_at + turn.at - slots.since)
            turn.hand_out_root(state.root)
        return
    call = state.nodes.get(event.ordinal)
    slots = None if call is None or is_held(run) else granted_to(call.row.slots, event)
    if call is not None and slots is not None:
        turn.write(call, slots=slots)
        dispatch_activity(turn, call)


# Time


def _look_at_time(turn: FunctionTurn) -> None:
    run = turn.state.run
    if run.phase.is_terminal or run.paused_at is not None:
        return
    if run.deadline_at is not None and run.deadline_at <= turn.at:
        stop_run(turn, Phase.TIMEOUT, "the run's deadline has passed")
        return
    for call, kind in turn.due_calls():
        _due(turn, call, kind)


def _due(turn: FunctionTurn, call: Call, kind: int) -> None:
    match call.row.kind, kind:
        case "timer", _:
            timer_fired(turn, call)
        case "wait", _:
            wait_over(turn, call)
        case "workflow", _:
            turn.hand_out_root(call)
        case "activity", 1:
            dispatch_activity(turn, call)
        case "activity", 2:
            missed_heartbeat(turn, call)
        case "activity", _:
            overdue(turn, call)


def _nothing(turn: FunctionTurn, event: Any) -> None:
    turn.nothing = "a function has no hooks"


_HANDLERS: dict[type, Callable[[FunctionTurn, Any], None]] = {
    ev.JournalAppended: appended,
    ev.RunSubmitted: _submitted,
    ev.TaskStarted: started,
    ev.TaskCompleted: completed,
    ev.TaskHeartbeat: beat,
    ev.TaskResumed: _resumed,
    ev.WorkerLost: lambda turn, event: lost(turn, None, event),
    ev.SignalReceived: _signal,
    ev.UpdateRequested: _update,
    ev.ChildBegan: _child_began,
    ev.ChildEnded: _child_ended,
    ev.CodeServed: _code_served,
    ev.SlotsGranted: _granted,
    ev.RunTakenOver: _taken_over,
    ev.RunCancelled: _cancelled,
    ev.RunPaused: _paused,
    ev.RunUnpaused: _unpaused,
    ev.RunFailed: _run_failed,
    ev.TimePassed: lambda turn, event: _look_at_time(turn),
    ev.HookStarted: _nothing,
    ev.HookCompleted: _nothing,
    ev.HookNotified: _nothing,
}
