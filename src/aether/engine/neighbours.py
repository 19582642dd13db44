"""The engine among others: mail, runs moved elsewhere, and the words by which engines wake each other.

In: hints of the store, and time. Out: looks at inboxes and at runs that somebody waits for. Never: anything
at all where nobody else can reach the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from ..errors import StoreError, Superseded
from ..plan import ChildBegan, ChildEnded, Event, TaskCompleted, TimePassed
from ..ports import Clock, Store
from ..record import RunRow
from .abroad import CHANGED, WATCH, Abroad
from .faults import Faults
from .letters import ANSWER, INBOX, Letter, Letters
from .live import Joining, Request
from .membership import Membership
from .waiting import Waiting

_SECOND = 1_000_000


class Neighbours:
    """`add` gives a run an event to decide, and sees to it that this happens."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        faults: Faults,
        membership: Membership,
        waiting: Waiting,
        add: Callable[[str, Event | Request], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._membership = membership
        self._waiting = waiting
        self._add = add
        self._abroad = Abroad(store, clock, waiting)
        self._letters = Letters(store, clock, faults, membership, add, add, self._take_up)
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._deaf: Callable[[], None] | None = None
        self._letters.wake = self._abroad.wake = self._woken.set
        self.changed = self._abroad.tell
        self.watch = self._abroad.watch
        self.mail = self._letters.look_soon

    async def start(self) -> None:
        if self._store.shared:
            self._deaf = await self._store.listen(self._hear)
        if self._store.shared or self._store.poll:
            self._task = asyncio.create_task(self._run(), name="aether: neighbours")

    async def stop(self, error: Exception) -> None:
        """Whoever waits for an answer is told `error`."""
        await self._letters.stop(error)
        if self._deaf is not None:
            self._deaf()
            self._deaf = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def _take_up(self, run_id: str) -> None:
        self._add(run_id, TimePassed(self._clock.now()))

    def left(self, run: RunRow, events: Iterable[Event | Request]) -> None:
        """Another engine decides for this run: it is told what was to be decided here."""
        run_id, holder = run.run_id, run.held_by
        for item in events:
            if isinstance(item, Joining):
                item.refused(Superseded())
            elif isinstance(item, Letter):
                item.leave()
            elif isinstance(item, Request):
                if isinstance(item.event, TimePassed):
                    item.done()  # it only was to be looked at
                else:
                    self._letters.send(run_id, holder, item)
            elif isinstance(item, ChildEnded):
                key = f"child:{item.ordinal}:{item.run_id}"
                self._letters.forward(run_id, key, holder, item)
            elif isinstance(item, ChildBegan):
                self._letters.forward(run_id, f"began:{item.ordinal}", holder, item)
            elif isinstance(item, TaskCompleted) and item.epoch == run.epoch:
                key = f"{item.ordinal}:{item.epoch}:{item.delivery}"
                self._letters.forward(run_id, key, holder, item)
        if self._waiting.is_awaited(run_id):
            self.watch(run_id)

    def _hear(self, words: Sequence[str]) -> None:
        for word in words:
            kind, what = word[:1], word[1:]
            if kind == INBOX and what == str(self._membership.number):
                self._letters.look_soon()
            elif kind == ANSWER:
                self._letters.hear_answer(what)
            elif kind == WATCH:
                self._abroad.asked(what)
            elif kind == CHANGED:
                self._abroad.hear(what)

    async def _run(self) -> None:
        failed = False
        while True:
            is_time = await self._woken_or_time()
            try:
                await self._letters.look(is_time)
                await self._abroad.look()
                failed = False
            except StoreError as error:
                if not failed:
                    then = "the store is asked again"
                    self._faults.report("look for messages", str(error), error, then=then)
                failed = True
            except Exception as error:  # noqa: BLE001 - it must not end what every other run waits for
                self._faults.report("look for messages", "the engine failed", error, critical=True)

    async def _woken_or_time(self) -> bool:
        time_is_up = False

        def ring() -> None:
            nonlocal time_is_up
            time_is_up = True
            self._woken.set()

        handle = self._clock.call_in(self._store.poll or _SECOND, ring)
        try:
            await self._woken.wait()
            self._woken.clear()
        finally:
            handle.cancel()
        return time_is_up
