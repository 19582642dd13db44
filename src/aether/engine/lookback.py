"""Looking back: which slots were taken before this engine began, where a rate counts them.

In: a store, and an instant. Out: the takes since then, by key, as the rows of runs tell, also of those that
are over. Never: a take after this engine began: the gate knows those itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from ..errors import StoreError
from ..plan import AnyPlan, AnyState, Plan
from ..ports import Clock, RunQuery, Store
from ..record import Instant, RunRow, RunRows, Slots
from .documents import Documents
from .faults import Faults
from .gate import Gate, Offer
from .live import LiveRun
from .membership import Membership

_PAGE = 100
_SECOND = 1_000_000

Take = tuple[str, Instant]


class LookBack:
    """`remember` is given all takes since an instant, once they are found."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        membership: Membership,
        known_plan: Callable[[bytes], AnyPlan | None],
        remember: Callable[[Instant, list[Take]], None],
    ) -> None:
        self._store = store
        self._faults = faults
        self._membership = membership
        self._known_plan = known_plan
        self._remember = remember
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, since: Instant) -> None:
        task = asyncio.create_task(self._look(since), name="aether: rates before the start")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _look(self, since: Instant) -> None:
        while True:
            try:
                takes = await self._takes(since)
            except StoreError as error:
                then = "the store is asked again; until then rates let nothing begin"
                self._faults.report("look back for rates", str(error), error, then=then)
                await self._membership.nap(_SECOND)
            else:
                self._remember(since, takes)
                return

    async def _takes(self, since: Instant) -> list[Take]:
        found: list[Take] = []
        after = ""
        while page := await self._store.unfinished(after, _PAGE):
            after = page[-1].run_id
            found += await self._of([run.run_id for run in page])
        query = RunQuery(finished_from=since, limit=_PAGE)
        while True:
            runs = await self._store.runs(query)
            found += await self._of([run.run_id for run in runs.runs if self._may_have(run)])
            if not runs.cursor:
                return [take for take in found if take[1] > since]
            query = RunQuery(finished_from=since, limit=_PAGE, after=runs.cursor)

    def _may_have(self, run: RunRow) -> bool:
        plan = self._known_plan(run.document)
        return not isinstance(plan, Plan) or plan.limited

    async def _of(self, run_ids: list[str]) -> list[Take]:
        found: list[Take] = []
        for rows in await self._store.load(run_ids) if run_ids else ():
            if rows is not None:
                found += _takes_in(rows)
        return found


def gate_over(
    store: Store,
    clock: Clock,
    faults: Faults,
    membership: Membership,
    documents: Documents,
    offer: Callable[[str, Offer], None],
    held: Callable[[str], LiveRun | None],
) -> Gate:
    """A gate that finds in the store what it has to know of the time before it."""

    def state_of(run_id: str) -> AnyState | None:
        live = held(run_id)
        return None if live is None else live.state

    gate = Gate(clock, offer, state_of)
    back = LookBack(store, faults, membership, documents.known_plan, gate.remember)
    gate.look_back, gate.stop_looking = back.start, back.stop
    return gate


def _takes_in(rows: RunRows) -> Iterator[Take]:
    own = rows.run.slots
    held: Iterable[str] = ()
    if own is not None:
        yield from _of_slots(own, ())
        held = {*own.covered, *(want.key for want in own.wants)}
    for row in rows.tasks.values():
        if row.slots is not None:
            yield from _of_slots(row.slots, held)


def _of_slots(slots: Slots, covered: Iterable[str]) -> Iterator[Take]:
    instants = slots.before if not slots.taken else (*slots.before, slots.taken)
    for want in slots.wants:
        if want.count and want.key not in covered:
            yield from ((want.key, instant) for instant in instants)
