"""What happens to a whole run: it begins, ends, is cancelled, paused, overdue or taken over."""

from __future__ import annotations

from ..errors import InvalidState, Problem
from ..record import Phase
from .containers import overdue_container, stop_below
from .events import (
    RunCancelled,
    RunFailed,
    RunPaused,
    RunSubmitted,
    RunTakenOver,
    RunUnpaused,
    SlotsGranted,
)
from .functions import FunctionState
from .hooks import end_overdue_hooks, fire_run_end, is_at_work
from .leaf import deliver_again, overdue, retry_due
from .limits import RUN, granted_to, hold_run, is_held
from .nodes import create_node, dispatch_or_hold, release_held
from .state import DEADLINE, State
from .turn import Turn


def submitted(turn: Turn, event: RunSubmitted) -> None:
    if not hold_run(turn):
        _begin(turn)


def _begin(turn: Turn) -> None:
    state = turn.state
    turn.set_run(deadline_at=turn.at + state.plan.timeout)
    if state.root.root is None:
        create_node(turn, state.root, state.plan.entry, 0)


def granted(turn: Turn, event: SlotsGranted) -> None:
    """A paused run takes no slots: it gets back into line when it goes on."""
    state = turn.state
    turn.nothing = "the slots are wanted no more"
    if state.run.phase.is_terminal or state.run.paused_at is not None:
        return
    if event.ordinal == RUN:
        slots = granted_to(state.run.slots, event)
        if slots is not None:
            turn.set_run(slots=slots)
            _begin(turn)
            release_held(turn)
        return
    node = state.nodes.get(event.ordinal)
    slots = None if node is None or is_held(state.run) else granted_to(node.row.slots, event)
    if node is not None and slots is not None:
        turn.set_task(node, slots=slots)
        dispatch_or_hold(turn, node)


def conclude_run(turn: Turn) -> None:
    """The root scope is closed: the run ends as its entry did."""
    state = turn.state
    root = state.root.root
    if root is None or not root.row.phase.is_terminal or state.run.phase.is_terminal:
        return
    row = root.row
    # Only the run's own deadline makes it a Timeout; below, a timeout is an error.
    phase = Phase.ERROR if row.phase is Phase.TIMEOUT else row.phase
    phase = Phase.SUCCEEDED if phase is Phase.SKIPPED else phase
    turn.move_run(phase, message=row.message, outputs=row.outputs, finished_at=turn.at)
    fire_run_end(turn)


def cancelled(turn: Turn, event: RunCancelled) -> None:
    must_be_open(turn.state, "cancelled")
    message = f"cancelled by {event.by}"
    _stop(turn, Phase.CANCELLED, message, hooks=True)


def failed(turn: Turn, event: RunFailed) -> None:
    if not turn.state.run.phase.is_terminal:
        _stop(turn, Phase.ERROR, event.message, hooks=False)


def paused(turn: Turn, event: RunPaused) -> None:
    must_be_open(turn.state, "paused")
    if turn.state.run.paused_at is not None:
        turn.nothing = "the run is paused already"
        return
    turn.set_run(paused_at=turn.at, paused_by=event.by)


def unpaused(turn: Turn, event: RunUnpaused) -> None:
    """Deadlines stood still: they move by as long as the pause was."""
    state = turn.state
    run = state.run
    must_be_open(state, "unpaused")
    if run.paused_at is None:
        turn.nothing = "the run is not paused"
        return
    stood = turn.at - run.paused_at
    deadline = run.deadline_at
    turn.set_run(
        paused_at=None,
        paused_by="",
        deadline_at=None if deadline is None else deadline + stood,
    )
    for node in state.nodes.values():
        if node.row.deadline_at is not None:
            deadline = node.row.deadline_at + stood
            turn.set_task(node, deadline_at=deadline)
            turn.wake_at(node, deadline, DEADLINE)
    look_at_time(turn)
    release_held(turn)


def taken_over(turn: Turn, event: RunTakenOver) -> None:
    """Another engine goes on: what was on its way is delivered again, behind a new fence."""
    state = turn.state
    if state.finished:
        turn.nothing = "the run is over"
        return
    turn.set_run(epoch=state.run.epoch + 1)
    if event.owner:
        turn.set_run(owner=event.owner)
        state.run.claimed = 0  # the claim is made good
    for node in list(state.nodes.values()):
        if node.spec.body is None and node.row.phase in (Phase.READY, Phase.RUNNING):
            deliver_again(turn, node)
    for hook in state.hooks.values():
        if is_at_work(hook):
            turn.set_hook(hook, delivery=hook.delivery + 1)
            turn.dispatch_hook(hook.number)
        if not hook.notified:
            turn.notify(hook.number)
    if not state.run.phase.is_terminal:
        release_held(turn)


def look_at_time(turn: Turn) -> None:
    """Whatever is due by now happens, the run's own deadline first."""
    state = turn.state
    run = state.run
    end_overdue_hooks(turn)
    if run.phase.is_terminal or run.paused_at is not None:
        return
    if run.deadline_at is not None and run.deadline_at <= turn.at:
        _stop(turn, Phase.TIMEOUT, "the run's deadline has passed", hooks=False)
        return
    for node, kind in turn.due_nodes():
        if node.row.phase.is_terminal or node.row.ordinal not in state.nodes:
            continue  # a container that was due earlier has ended it
        if kind != DEADLINE:
            retry_due(turn, node)
        elif node.spec.body is not None:
            overdue_container(turn, node)
        else:
            overdue(turn, node)
    release_held(turn)


def _stop(turn: Turn, phase: Phase, message: str, *, hooks: bool) -> None:
    state = turn.state
    stop_below(turn, state.root, phase, message, hooks=hooks)
    state.agenda.clear()
    turn.todo.clear()
    turn.move_run(phase, message=message, finished_at=turn.at)
    if phase is not Phase.ERROR:
        fire_run_end(turn)


def must_be_open(state: State | FunctionState, verb: str) -> None:
    run = state.run
    if run.phase.is_terminal:
        raise InvalidState(
            Problem(
                "run-over",
                f"run {run.run_id} cannot be {verb}: it is {run.phase}",
                fix="only a run that is not over can be cancelled, paused or unpaused",
            )
        )
