"""What the simulator must see that no port shows: decisions as they are made, and what an engine holds.

All reaching behind the doors of the engine is gathered here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from copy import copy
from typing import Any

from ...engine import Engine
from ...errors import ProblemError
from ...plan import AnyState, Decision, Event, TaskCompleted, TaskStarted, decide_all, load_state
from ...record import Phase, RunRows, TaskPatch, encode_changes

_KEPT = 4096


class Made:
    """One decision: the events it was made of, and the plan."""

    __slots__ = ("events", "plan")

    def __init__(self, events: list[Event], plan: Any) -> None:
        self.events = events
        self.plan = plan


class Decisions:
    """Keeps what was decided until the store has taken it."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes], Made] = {}
        self.count = 0

    def decide_all(self, state: AnyState, events: Iterable[Event]) -> Decision:
        taken = list(events)
        decision = decide_all(state, taken)
        self.count += 1
        if decision.changes:
            key = (state.run.run_id, encode_changes(decision.changes))
            self._made[key] = Made(taken, state.plan)
            if len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
        return decision

    def made(self, run_id: str, body: bytes) -> Made | None:
        return self._made.pop((run_id, body), None)

    @contextmanager
    def listening(self) -> Generator[None, None, None]:
        """While this lasts every engine decides through here."""
        step = sys.modules[Engine.__module__.rpartition(".")[0] + ".step"]
        before = step.__dict__["decide_all"]
        step.__dict__["decide_all"] = self.decide_all
        try:
            yield
        finally:
            step.__dict__["decide_all"] = before


def fresh_copy(rows: RunRows) -> RunRows:
    return RunRows(
        copy(rows.run),
        {ordinal: copy(row) for ordinal, row in rows.tasks.items()},
        {number: copy(row) for number, row in rows.hooks.items()},
    )


def decided_anew(made: Made, rows: RunRows) -> bytes | None:
    """What a state loaded from `rows` makes of the same events; None if it refuses them."""
    state = load_state(made.plan, rows)
    try:
        return encode_changes(decide_all(state, made.events).changes)
    except ProblemError:
        return None


def stale_results_taken(
    made: Made, before: RunRows, changes: Iterable[Any], breach: Callable[[str], None]
) -> None:
    """A decision made of words about old deliveries alone must leave their tasks as they are."""
    stale: dict[int, None] = {}
    for event in made.events:
        if not isinstance(event, TaskCompleted | TaskStarted):
            return
        row = before.tasks.get(event.ordinal)
        if row is not None and (event.epoch, event.delivery) == (before.run.epoch, row.delivery):
            return
        stale[event.ordinal] = None
    for change in changes:
        if isinstance(change, TaskPatch) and change.ordinal in stale:
            row = before.tasks[change.ordinal]
            if row.phase is not Phase.CREATED:
                breach(
                    f"{before.run.run_id}.{change.ordinal}: a word about an old delivery changed it"
                )


def left_over(engine: Engine) -> list[str]:
    """What an engine still holds although every run is over."""
    runs = engine._runs
    relay, stepper = runs._relay, runs._stepper
    held = {
        "runs in memory": len(runs._live),
        "waiters": len(runs._waiting._waiters),
        "watchers": len(runs._waiting._watchers),
        "hook events": len(relay._events),
        "tellers": len(relay._tellers),
        "assignments": len(relay._assignments) + len(relay._refused),
        "runs in line": len(stepper._line),
        "naps": len(stepper._naps),
        "timeouts": len(runs._timeouts._due) if runs._timeouts is not None else 0,  # type: ignore[attr-defined]  # the simulator wires the heap
    }
    return [f"the engine still holds {count} {what}" for what, count in held.items() if count]
