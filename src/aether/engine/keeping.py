"""Keeping house: runs that are over go when they are old enough.

In: a store, ages by phase, and the clock. Out: deletes, oldest first, a few at a time. Never: a run that
is not over, one that its cron still counts, or a thread that polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from ..errors import InvalidState, NotFound, Problem, Refused
from ..ports import ArtifactRepository, Clock, Handle, RunQuery, Store
from ..record import Instant, Phase, RunRow, RunRows, decode_json
from .faults import Faults

_MICROSECOND = timedelta(microseconds=1)
_PAGE = 100
_BATCH = 20
"""Runs deleted before the engine's own work has the store to itself for a moment."""

_PAUSE = 20_000  # microseconds: that moment
_FIRST = 60_000_000  # after the start, so that an engine that is often restarted cleans up too

_UNSUCCESSFUL = (Phase.FAILED, Phase.ERROR, Phase.TIMEOUT)


class Retention(msgspec.Struct, kw_only=True, frozen=True):
    """How long runs are kept after their end; None keeps them for ever. `failed` covers Failed, Error and
    Timeout. `every` is how often the engine looks. Runs of a cron are kept by its own history limits as
    long as it exists."""

    succeeded: timedelta | None = None
    failed: timedelta | None = None
    cancelled: timedelta | None = None
    every: timedelta = timedelta(minutes=10)

    def ages(self) -> dict[Phase, timedelta]:
        """Raises Refused `bad-retention`."""
        given = {
            Phase.SUCCEEDED: self.succeeded,
            **dict.fromkeys(_UNSUCCESSFUL, self.failed),
            Phase.CANCELLED: self.cancelled,
        }
        ages = {phase: age for phase, age in given.items() if age is not None}
        if self.every <= timedelta(0) or any(age < timedelta(0) for age in ages.values()):
            raise Refused(
                Problem(
                    "bad-retention",
                    "a retention has an age below zero, or looks every zero seconds",
                    fix="write Retention(succeeded=timedelta(days=30), …)",
                )
            )
        return ages


async def expired(
    store: Store, ages: Mapping[Phase, timedelta], now: Instant
) -> AsyncIterator[RunRow]:
    """The runs that ended longer ago than the age of their phase, oldest first for each age. They may be
    deleted while this goes on."""
    crons = {cron.cron_id for cron in await store.crons()}
    for age in sorted(set(ages.values()), reverse=True):
        phases = tuple(phase for phase, each in ages.items() if each == age)
        end = now - age // _MICROSECOND
        query = RunQuery(phases=phases, newest_first=False, limit=_PAGE)
        while True:
            page = await store.runs(query)
            for run in page.runs:
                if run.created_at > end:
                    break  # nobody behind it can have ended before
                if run.cron_id not in crons and (run.finished_at or run.created_at) <= end:
                    yield run
            if not page.cursor or (page.runs and page.runs[-1].created_at > end):
                break
            query = msgspec.structs.replace(query, after=page.cursor)


async def drop_artifacts(
    store: Store,
    rows: RunRows,
    repositories: Mapping[str, ArtifactRepository],
    tell: Callable[[str, Exception], None],
) -> None:
    """What the run's tasks have uploaded goes with the run, but for what its relatives have too; `tell`
    hears what could not."""
    shared: list[Any] | None = None
    for name, place in _places(rows):
        if shared is None:
            shared = await _places_of_relatives(store, rows.run)
        if place not in shared:
            repository = repositories.get(place["type"])
            try:
                if repository is not None:
                    await repository.delete(place["config"])
            except Exception as error:  # noqa: BLE001 - one bad file must not keep the run
                tell(f"artifact '{name}' could not be deleted: {error}", error)


def _places(rows: RunRows) -> Iterator[tuple[str, Any]]:
    for row in rows.tasks.values():
        if row.kind == "task" and row.artifacts_out:
            yield from decode_json(row.artifacts_out).items()


async def _places_of_relatives(store: Store, run: RunRow) -> list[Any]:
    """Where lies what other runs of the same line of forks have: they keep results of each other."""
    root = run.origin.root if run.origin else run.run_id
    ids = [root, *(fork.run_id for fork in await store.forks([root]))]
    relatives = await store.load([each for each in ids if each != run.run_id])
    return [place for rows in relatives if rows is not None for _, place in _places(rows)]


class Keeping:
    """Looks at the store every now and then, by the clock, and deletes what is expired through `delete`."""

    def __init__(
        self,
        retention: Retention,
        store: Store,
        clock: Clock,
        faults: Faults,
        delete: Callable[[str], Awaitable[None]],
    ) -> None:
        self._ages = retention.ages()
        self._every = retention.every // _MICROSECOND
        self._store = store
        self._clock = clock
        self._faults = faults
        self._delete = delete
        self._armed: Handle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._ages:
            self._arm(min(self._every, _FIRST))

    async def stop(self) -> None:
        """Nothing is deleted afterwards. Idempotent."""
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def _arm(self, after: int) -> None:
        self._armed = self._clock.call_in(after, self._begin)

    def _begin(self) -> None:
        self._armed = None
        self._task = asyncio.create_task(self._sweep(), name="aether: retention")

    async def _sweep(self) -> None:
        try:
            deleted = 0
            async for run in expired(self._store, self._ages, self._clock.now()):
                try:
                    await self._delete(run.run_id)
                except (NotFound, InvalidState):
                    continue  # somebody else was quicker
                deleted += 1
                if deleted % _BATCH == 0:
                    await self._pause()
        except Exception as error:  # noqa: BLE001 - whatever a store does, the engine's work goes on
            self._faults.report(
                "delete old runs", str(error), error, then="they are looked at again", warning=True
            )
        self._task = None
        self._arm(self._every)

    async def _pause(self) -> None:
        over = asyncio.Event()
        handle = self._clock.call_in(_PAUSE, over.set)
        try:
            await over.wait()
        finally:
            handle.cancel()
