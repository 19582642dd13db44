"""Why something waits for slots of limited keys, in words; and who holds them, where no engine can be asked."""

from __future__ import annotations

from collections.abc import Mapping

from ..plan import RUN
from ..ports import Store
from ..record import Instant, RunRows, Slots, task_run_id
from .gate import Obstacle
from .instants import clock
from .lines import Place

_NAMED = 3
"""Holders that are named; a limit of thousands has thousands."""

_PAGE = 256
_MOST = 20 * _PAGE
"""Unfinished runs that are looked at for holders."""

Obstacles = Mapping[int, Obstacle]


def why_in_line(slots: Slots, obstacle: Obstacle | None) -> str:
    if obstacle is None:
        keys = " and ".join(f"'{want.key}'" for want in slots.wants)
        return f"waiting for a slot of {keys}"
    want, holders = obstacle.want, obstacle.holders
    if want.concurrency and len(holders) >= want.concurrency:
        names = ", ".join(map(_name, holders[:_NAMED]))
        more = f" and {len(holders) - _NAMED} more" if len(holders) > _NAMED else ""
        held = f"{len(holders)} of {want.concurrency}"
        return f"waiting for a slot of '{want.key}': {held} held by {names}{more}"
    if obstacle.free_at is not None:
        rate = f"{want.count} in {_span(want.span)}"
        return f"waiting for '{want.key}', {rate}: the next may begin at {clock(obstacle.free_at)}"
    return f"waiting for its turn with '{want.key}'"


def _name(place: Place) -> str:
    run_id, ordinal = place
    return f"run {run_id}" if ordinal == RUN else f"task run {task_run_id(run_id, ordinal)}"


def _span(micros: Instant) -> str:
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000)):
        if micros % size == 0:
            return f"{micros // size}{unit}"
    return f"{micros / 1_000_000:g}s"


async def obstacles_of(store: Store, rows: RunRows) -> dict[int, Obstacle]:
    """What its task runs wait for, as the rows of all unfinished runs say: nothing of it is in memory."""
    waiting: dict[int, Slots] = {}
    if rows.run.slots is not None and rows.run.slots.waits:
        waiting[RUN] = rows.run.slots
    for row in rows.tasks.values():
        if row.slots is not None and row.slots.waits and not row.phase.is_terminal:
            waiting[row.ordinal] = row.slots
    if not waiting or rows.run.phase.is_terminal:
        return {}
    keys = {want.key for slots in waiting.values() for want in slots.wants}
    holders = await _holders(store, keys)
    found: dict[int, Obstacle] = {}
    for ordinal, slots in waiting.items():
        for want in slots.wants:
            if want.concurrency and len(holders[want.key]) >= want.concurrency:
                found[ordinal] = Obstacle(want, tuple(holders[want.key]))
                break
    return found


async def _holders(store: Store, keys: set[str]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {key: [] for key in keys}
    after, seen = "", 0
    while seen < _MOST and (page := await store.unfinished(after, _PAGE)):
        after, seen = page[-1].run_id, seen + len(page)
        for rows in await store.load([run.run_id for run in page]):
            if rows is not None:
                _note_holders(rows, found)
    return found


def _note_holders(rows: RunRows, found: dict[str, list[Place]]) -> None:
    run_id, whole = rows.run.run_id, rows.run.slots
    own: set[str] = set()
    if whole is not None and whole.taken is not None and not rows.run.phase.is_terminal:
        own = {want.key for want in whole.wants}
        for key in own & found.keys():
            found[key].append((run_id, RUN))
    for row in rows.tasks.values():
        if row.slots is None or row.slots.taken is None or row.phase.is_terminal:
            continue
        for want in row.slots.wants:
            if want.key in found and want.key not in own:
                found[want.key].append((run_id, row.ordinal))
