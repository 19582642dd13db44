"""`decide`: one event in, everything that follows from it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from ..errors import InvalidState, Problem
from ..record import Phase, RunRows
from . import events as ev
from .dag import advance_dag
from .events import Decision, Event
from .forking import begin_fork, forked
from .function_events import decide_function
from .functions import FunctionPlan, FunctionState
from .hooks import complete_hook, hook_delivered, start_hook
from .leaf import on_completed, on_resumed, on_started, on_worker_lost
from .lifecycle import (
    cancelled,
    conclude_run,
    failed,
    granted,
    look_at_time,
    paused,
    submitted,
    taken_over,
    unpaused,
)
from .loop import advance_loop
from .nodes import release_held
from .spec import Plan
from .state import DagScope, LoopScope, State
from .turn import Turn

AnyPlan = Plan | FunctionPlan
AnyState = State | FunctionState


def new_state(plan: AnyPlan) -> AnyState:
    """Of a run that is about to begin."""
    return FunctionState(plan) if isinstance(plan, FunctionPlan) else State(plan)


def load_state(plan: AnyPlan, rows: RunRows) -> AnyState:
    """The state that these rows stand for."""
    if isinstance(plan, FunctionPlan):
        return FunctionState.load(plan, rows)
    return State.load(plan, rows)


def decide(state: AnyState, event: Event) -> Decision:
    """What `event` changes in `state`, and what is to be done about it.

    The same state and event always give the same decision. `state` is advanced by the changes of the
    decision; whoever cannot commit them drops it and loads it again. Raises InvalidState, with
    nothing changed, when somebody asked for what the state does not allow.
    """
    return decide_all(state, (event,))


def decide_all(state: AnyState, events: Iterable[Event]) -> Decision:
    """The events in order, as one decision. Requests that may be refused must come alone."""
    if isinstance(state, FunctionState):
        return decide_function(state, events)
    turn: Turn | None = None
    for event in events:
        if turn is None:
            turn = _begin(state, event)
        else:
            turn.at = max(event.at, turn.at)
        _HANDLERS[type(event)](turn, event)
        if turn.todo or state.held:
            _work_off(turn)
    assert turn is not None, "a decision needs an event"
    _take_up_agenda(turn)
    return turn.decision()


def _begin(state: State, event: Event) -> Turn:
    if isinstance(event, ev.RunSubmitted):
        state.begin(copy(event.run))  # the event must stay as it is: it may be decided again
        return Turn(state, event.at, fresh_run=True)
    if isinstance(event, ev.RunForked):
        return begin_fork(state, event)
    return Turn(state, event.at)


def _work_off(turn: Turn) -> None:
    """Advance scopes until nothing follows any more, innermost first."""
    todo = turn.todo
    while todo:
        scope = todo.pop()
        if isinstance(scope, DagScope):
            advance_dag(turn, scope)
        elif isinstance(scope, LoopScope):
            advance_loop(turn, scope)
        else:
            conclude_run(turn)
    if turn.state.held:
        release_held(turn)  # whatever ended may have freed a slot


def _take_up_agenda(turn: Turn) -> None:
    """Go on with what earlier decisions left over, within this decision's measure."""
    state = turn.state
    if not state.agenda or state.run.phase is Phase.CANCELLED:
        return
    turn.todo.extend(reversed(state.agenda))
    state.agenda.clear()
    _work_off(turn)


def _time_passed(turn: Turn, event: ev.TimePassed) -> None:
    look_at_time(turn)


def _no_function(turn: Turn, event: ev.SignalReceived | ev.UpdateRequested) -> None:
    run = turn.state.run
    raise InvalidState(
        Problem(
            "not-a-function",
            f"run {run.run_id} is that of a document: no code of it takes '{event.name}'",
            fix="resume its suspended task instead, or signal the run of a function",
        )
    )


def _no_journal(turn: Turn, event: ev.JournalAppended) -> None:
    turn.nothing = "a document keeps no journal"


def _child_ended(turn: Turn, event: ev.ChildEnded) -> None:
    """A task that is a function of its own ends as that did. One that was cancelled alone has failed."""
    node = turn.state.nodes.get(event.ordinal)
    if node is None or node.spec.body is not None:
        turn.nothing = f"task run {event.ordinal} is over"
        return
    run, row = turn.state.run, node.row
    attempt = event.run_id.removeprefix(f"{run.run_id}.{row.ordinal}:")
    if attempt.isdecimal() and int(attempt) != row.attempt:
        turn.nothing = f"attempt {attempt} is over; attempt {row.attempt} counts"
        return
    code = _CODES.get(event.phase, 2)
    error_type = "" if code == 0 else event.phase.lower()
    on_completed(
        turn,
        ev.TaskCompleted(
            row.ordinal,
            run.epoch,
            row.delivery,
            event.at,
            code,
            event.message,
            event.outputs,
            error_type,
        ),
    )


_CODES = {Phase.SUCCEEDED: 0, Phase.FAILED: 2, Phase.ERROR: 3, Phase.TIMEOUT: 4}


def _ignored(turn: Turn, event: Event) -> None:
    turn.nothing = "only runs of functions take this"


_HANDLERS: dict[type, Callable[[Turn, Any], None]] = {
    ev.RunSubmitted: submitted,
    ev.RunForked: forked,
    ev.TaskStarted: on_started,
    ev.TaskCompleted: on_completed,
    ev.TaskResumed: on_resumed,
    ev.WorkerLost: on_worker_lost,
    ev.RunTakenOver: taken_over,
    ev.RunCancelled: cancelled,
    ev.RunPaused: paused,
    ev.RunUnpaused: unpaused,
    ev.RunFailed: failed,
    ev.TimePassed: _time_passed,
    ev.HookStarted: lambda turn, e: start_hook(turn, e.number, e.delivery),
    ev.HookCompleted: lambda turn, e: complete_hook(
        turn, e.number, e.delivery, e.code, e.message, e.outputs
    ),
    ev.HookNotified: lambda turn, e: hook_delivered(turn, e.number),
    ev.SignalReceived: _no_function,
    ev.UpdateRequested: _no_function,
    ev.JournalAppended: _no_journal,
    ev.TaskHeartbeat: _ignored,
    ev.ChildBegan: _ignored,
    ev.ChildEnded: _child_ended,
    ev.CodeServed: _ignored,
    ev.SlotsGranted: granted,
}
