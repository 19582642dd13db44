"""Flow control: what wants slots waits in line as Created; what has them is let go.

In: keys as documents declare them. Out: rows that say which slots they want, and since when. Never: a
count of who holds what: the engine keeps it, for all runs, and tells a run by SlotsGranted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..expr import Env, Template, printed
from ..record import Phase, RunRow, Slots, TaskRow, Want, narrower
from .binding import Layered, Plain
from .env import ScopeEnv, child_env
from .events import SlotsGranted
from .spec import LimitSpec
from .state import Node
from .turn import Turn

if TYPE_CHECKING:
    from .function_turn import FunctionTurn

RUN = -1
"""In the place of an ordinal: the run itself."""

LONGEST_KEY = 512


def wants_of(
    limits: tuple[LimitSpec, ...], env: Env, warn: Callable[[str], None]
) -> tuple[Want, ...]:
    """One for each key, sorted: whoever wants several gets them in the same order as everybody else.
    Of two limits on one key that are not alike the narrower one counts in each respect."""
    found: dict[str, Want] = {}
    for limit in limits:
        want = Want(
            _text(limit.key, env, warn)[:LONGEST_KEY],
            limit.concurrency,
            limit.count,
            limit.span,
            _text(limit.group, env, warn)[:LONGEST_KEY],
        )
        known = found.get(want.key)
        found[want.key] = want if known is None else narrower(known, want)
    return tuple(found[key] for key in sorted(found))


def _text(source: str | Template, env: Env, warn: Callable[[str], None]) -> str:
    if isinstance(source, str):
        return source
    value: Any = source.render(Plain(env), warn)
    return value if isinstance(value, str) else printed(value)


def in_line(
    turn: Turn | FunctionTurn, wants: tuple[Want, ...], priority: int, before: Slots | None
) -> Slots:
    """A new place in line; `before` are the slots of earlier attempts."""
    return Slots(
        wants=wants,
        priority=priority,
        since=turn.at,
        number=turn.state.run.seq + 1,
        covered=() if before is None else before.covered,
        before=() if before is None else before.before,
    )


def release(turn: Turn, node: Node) -> None:
    """The attempt is over, or nobody works on it: its slots go to others."""
    if node.row.slots is not None:
        turn.set_task(node, slots=node.row.slots.released())


# Runs


def hold_run(turn: Turn) -> bool:
    """Whether the run that was just submitted has to wait for slots of its own."""
    state = turn.state
    if not state.plan.limits:
        return False
    env = ScopeEnv(state, None, None)
    wants = wants_of(state.plan.limits, env, partial(turn.warn, None))
    priority = state.plan.priority
    before = state.run.slots
    if before is not None:
        wants = tuple(want for want in wants if want.key not in before.covered)
    slots = in_line(turn, wants, priority, before)
    if not wants:
        slots = msgspec.structs.replace(slots, taken=turn.at)
    turn.set_run(slots=slots)
    return bool(wants)


def is_held(run: RunRow) -> bool:
    """Nothing of it is begun: it waits for slots of its own."""
    return run.slots is not None and run.slots.taken is None


# Tasks


def stands_in_line(row: TaskRow) -> bool:
    return row.slots is not None and row.slots.waits


def queue_up(turn: Turn, node: Node) -> None:
    """The task waits, as Created, for a slot of each of its keys. They may speak of its own inputs."""
    row, state = node.row, turn.state
    own = {f"inputs.parameters.{name}": value for name, value in node.inputs().items()}
    own |= {name: value for name, value in node.inputs().items() if name.startswith("loop_iter.")}
    env = Layered(own, child_env(state, node.parent))
    wants = wants_of(node.spec.limits, env, partial(turn.warn, row.ordinal))
    slots = in_line(turn, wants, node.spec.priority or state.plan.priority, row.slots)
    if row.phase is not Phase.CREATED:
        turn.move(node, Phase.CREATED)
    turn.set_task(node, slots=slots)


def granted_to(slots: Slots | None, event: SlotsGranted) -> Slots | None:
    """The slots that the grant is for, as taken; None if they are wanted no more."""
    if slots is None or slots.taken is not None or slots.number != event.number:
        return None
    return msgspec.structs.replace(slots, taken=event.at)
