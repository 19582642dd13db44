"""A decision as the commit that a store is to carry out.

In: a run, what was decided about it, and the events of which. Out: a Commit. Never: I/O, or a change that
the decision does not have.
"""

from __future__ import annotations

from ..plan import AnyState, Decision, Event
from ..ports import Commit
from ..record import Cut, HookPatch, HookRow, RunPatch, RunRow, TaskPatch, TaskRow
from .ledger import Ledger
from .letters import consumed
from .live import LiveRun, Request, is_from_outside
from .prefix import begins_before, kept_rows


def commit_of(
    live: LiveRun,
    state: AnyState,
    taken: list[Event | Request],
    decision: Decision,
    ledger: Ledger | None,
    holds_values: bool,
) -> Commit:
    """With `ledger` it brings an entry of the log. `holds_values` is what `changes_with_values` said."""
    tasks: list[TaskRow | TaskPatch] = []
    hooks: list[HookRow | HookPatch] = []
    run: RunRow | RunPatch | None = None
    for change in decision.changes:
        kind = type(change)
        if kind is TaskPatch:
            tasks.append(change)  # type: ignore[arg-type]  # the kind just asked for
        elif kind is TaskRow:
            tasks.append(change)  # type: ignore[arg-type]  # likewise
            live.saw(change)  # type: ignore[arg-type]  # likewise
        elif kind is RunPatch or kind is RunRow:
            run = change  # type: ignore[assignment]  # likewise
        elif kind is Cut:
            tasks += kept_rows(taken[0])
            holds_values = True
        else:
            hooks.append(change)  # type: ignore[arg-type]  # what is left
            if kind is HookRow:
                live.saw(change)  # type: ignore[arg-type]  # likewise
    run = RunPatch() if run is None else run
    log = None if ledger is None else ledger.entry(state, decision.changes, run)
    outside = is_from_outside(taken[0])
    return Commit(
        run_id=live.run_id,
        expected=live.token,
        run=run,
        tasks=tasks,
        hooks=hooks,
        document=live.document if live.token is None else None,
        log=log,
        outside=outside,
        shares=log is not None and begins_before(run),
        consumed=consumed(taken[0]) if outside else (),
        holds_values=holds_values,
    )


def answer_alone(live: LiveRun, taken: list[Event | Request], answer: bytes) -> Commit:
    """Nothing changes, but the sender of a letter is told so, once."""
    return Commit(
        run_id=live.run_id,
        expected=live.token,
        run=RunPatch(),
        outside=True,
        consumed=consumed(taken[0], answer),
        holds_values=False,
    )
