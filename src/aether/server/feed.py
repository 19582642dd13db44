"""The feed: what changed last, kept once for all who follow it.

In: every change of every run, from the engine that decides. Out: the same in order, to each subscriber at
its own pace. A subscriber is a number, its place in the feed, and nothing is kept for it: one that never reads
costs nothing, delays nobody, and is told that it missed something once the feed has gone on too far without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from ..ports import Clock
from ..record import Change, Phase, RunRow
from .instants import moment, span

KEPT = 8192
"""Changes that can be asked for again; a subscriber that is further behind looks at everything anew."""
_BATCH = 256
_TOGETHER = 20_000  # microseconds in which changes are told together
_BEAT = 15_000_000  # microseconds after which a silent stream says that it lives


class Event(msgspec.Struct, gc=False):
    """One run after one decision. It is encoded once, when the first of its readers comes."""

    number: int
    run_id: str
    name: str
    namespace: str
    cron_id: str
    labels: dict[str, str] | None
    phase: Phase
    message: str
    seq: int
    done: int
    total: int
    paused: bool
    created_at: int
    started_at: int | None
    finished_at: int | None
    text: bytes = b""

    def encoded(self) -> bytes:
        if not self.text:
            self.text = msgspec.json.encode(
                {
                    "runId": self.run_id,
                    "name": self.name,
                    "namespace": self.namespace,
                    "cronId": self.cron_id,
                    "status": self.phase,
                    "message": self.message,
                    "seq": self.seq,
                    "progress": f"{self.done}/{self.total}" if self.total else "",
                    "paused": self.paused,
                    "createdAt": moment(self.created_at),
                    "startedAt": moment(self.started_at),
                    "finishedAt": moment(self.finished_at),
                    "duration": span(self.started_at, self.finished_at),
                }
            )
        return self.text


class Batch(msgspec.Struct):
    """What a subscriber is told at once. `upto` is its new place; `missed` says that changes before these are
    gone: whoever needs them all looks at the runs themselves."""

    events: list[Event]
    upto: int
    missed: bool = False


class Feed:
    """`changed` is that of an Observer. Places count from 0; place n lies behind the n-th change."""

    def __init__(self, clock: Clock, kept: int = KEPT) -> None:
        self._clock = clock
        self._ring: list[Event | None] = [None] * kept
        self._kept = kept
        self._waiters: set[asyncio.Future[bool]] = set()
        self._armed = False
        self._beating = False
        self.head = 0
        self.closed = False

    def changed(self, run: RunRow, changes: Sequence[Change]) -> None:
        self.head = number = self.head + 1
        self._ring[number % self._kept] = Event(
            number,
            run.run_id,
            run.name,
            run.namespace,
            run.cron_id,
            run.labels,
            run.phase,
            run.message,
            run.seq,
            run.done,
            run.total,
            run.paused_at is not None,
            run.created_at,
            run.started_at,
            run.finished_at,
        )
        if self._waiters and not self._armed:
            self._armed = True
            self._clock.call_in(_TOGETHER, self._tell)

    async def after(self, place: int, wanted: Callable[[Event], bool]) -> Batch | None:
        """What follows `place` and is wanted; of one run the last of several in a row is enough. Waits until
        there is something to look at, and answers with no events when nothing came for a while. None: closed.
        """
        if place >= self.head and not await self._more():
            return None if self.closed else Batch([], max(place, 0))
        oldest = self.head - self._kept
        if place < oldest or place > self.head:
            return Batch([], self.head, missed=True)
        upto = min(self.head, place + _BATCH)
        latest: dict[str, Event] = {}
        for number in range(place + 1, upto + 1):
            event = self._ring[number % self._kept]
            if event is not None and wanted(event):
                latest.pop(event.run_id, None)
                latest[event.run_id] = event
        return Batch(list(latest.values()), upto)

    def close(self) -> None:
        """End every subscription: each reader gets what there is, then None."""
        self.closed = True
        self._tell()

    @property
    def subscribers(self) -> int:
        """Those that wait for something to happen now."""
        return len(self._waiters)

    async def _more(self) -> bool:
        if self.closed:
            return False
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        if not self._beating:
            self._beating = True
            self._clock.call_in(_BEAT, self._beat)
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)

    def _tell(self) -> None:
        self._armed = False
        self._wake(not self.closed)

    def _beat(self) -> None:
        self._beating = False
        self._wake(False)

    def _wake(self, more: bool) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(more)
