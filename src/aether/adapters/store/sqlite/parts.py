"""What an open store is made of, and the order in which its parts come and go.

In: a path and its settings. Out: readers, and the writer if it may write. Never: a part left behind by an
opening that failed, or a change on a database found damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import apsw

from ....errors import Problem, Refused, StoreUnavailable
from ....ports import Claim, Commit, CommitOutcome, Message, Posted
from ....record import Instant, RunRows
from ...migrations import still_to_apply
from .checkpoints import Checkpoints
from .database import applied, connect, grow_log, known, prepare
from .definitions import DefinitionWriter
from .faults import read_only, translated
from .hand import Hand
from .inbox import Inbox, add
from .lock import ProcessLock
from .pace import Pace
from .reader import Reader, TooMany
from .writer import Writer

T = TypeVar("T")

FEW = 500
"""Task runs of a run that is read on the loop; more are read in a thread."""


class Changes:
    """All that writes, on the writer's connection. One call at a time, on whatever thread."""

    def __init__(
        self, path: Path, db: apsw.Connection, writer: Writer, close: Callable[[], None]
    ) -> None:
        self._translated = translated(path)
        self._db = db
        self.writer = writer
        self.inbox = Inbox(db, path)
        self.definitions = DefinitionWriter(db, writer)
        self.close = close
        self._damage: Refused | None = None

    def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        return self.alone(lambda: self.writer.write(batch))

    def claim(
        self, run_ids: Sequence[str], session: int, stands: Callable[[int], bool]
    ) -> Sequence[Claim]:
        """In a transaction of `alone`."""
        self.inbox.stale = True
        return self.writer.claim(run_ids, session, stands)

    def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        """In a transaction of `alone`."""
        self.inbox.stale = True
        return add(self._db, messages)

    def alone(self, work: Callable[[], T]) -> T:
        """`work` in a transaction of its own."""
        if self._damage is not None:
            raise StoreUnavailable(str(self._damage)) from self._damage
        writer = self.writer
        try:
            with self._translated:
                writer.begin()
                result = work()
            writer.commit()
        except BaseException as exc:
            writer.undo()
            if isinstance(exc, Refused) and exc.code == "store-corrupt":
                # To the engine this is a store that cannot be reached: no run is to be blamed for it.
                self._damage = exc
                raise StoreUnavailable(str(exc)) from exc
            raise
        return result


class Parts:
    def __init__(self, path: Path, hand: Hand, near: Reader, changes: Changes | None) -> None:
        self._path = path
        self._hand = hand
        self._changes = changes
        self._reading: Hand | None = None
        self._far: Reader | None = None
        self._pace = Pace()
        self._given = 0  # pieces of work that the writer's thread has not answered yet
        self.near = near

    # Writing

    def changes(self) -> Changes:
        """Raises Refused `store-read-only`."""
        if self._changes is None:
            raise read_only(self._path)
        return self._changes

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        changes, pace = self.changes(), self._pace

        def timed() -> tuple[Sequence[CommitOutcome], float]:
            began = perf_counter()
            outcomes = changes.commit(batch)
            return outcomes, perf_counter() - began

        if not self._given and pace.may_run_inline(len(batch), changes.writer.moving):
            outcomes, seconds = timed()
        else:
            outcomes, seconds = await self._give(timed)
        pace.took(len(batch), seconds)
        return outcomes

    async def change(self, work: Callable[[Changes], T]) -> T:
        changes = self.changes()
        return await self._give(lambda: changes.alone(lambda: work(changes)))

    async def ask(self, look: Callable[[Changes], T]) -> T:
        """A look on the writer's connection, between its transactions."""
        changes = self.changes()
        return await self._give(lambda: look(changes))

    async def aside(self, work: Callable[[], T]) -> T:
        """Work on a connection of its own, off the loop."""
        return await self._give(work)

    async def _give(self, work: Callable[[], T]) -> T:
        self._given += 1
        try:
            return await self._hand.give(work)
        finally:
            self._given -= 1

    # Reading

    async def load(self, run_id: str) -> RunRows | None:
        try:
            return self.near.load(run_id, FEW)
        except TooMany:
            return await self.slowly(lambda reader: reader.load(run_id))

    async def slowly(self, read: Callable[[Reader], T]) -> T:
        """A read that may be long, in a thread of its own: it waits for no commit."""
        if self._reading is None or self._far is None:
            self._far = Reader(connect(self._path, read_only=True), self._path)
            self._reading = Hand("aether-sqlite-read")
        far = self._far
        return await self._reading.give(lambda: read(far))

    # The end

    async def close(self) -> None:
        """What was given to a thread is done first."""
        if self._reading is not None and self._far is not None:
            await self._reading.give(self._far.close)
            self._reading.close()
        self.near.close()
        if self._changes is not None:
            await self._hand.give(self._changes.close)
        self._hand.close()


async def open_parts(
    path: Path, *, durability: str, keeps_log: bool, read_only: bool, now: Instant
) -> Parts:
    hand = Hand("aether-sqlite")
    try:
        changes = None
        if not read_only:
            changes = await hand.give(lambda: _open_writer(path, durability, keeps_log, now))
        near = await hand.give(lambda: _open_reader(path))
    except BaseException:
        hand.close()
        raise
    return Parts(path, hand, near, changes)


def _open_writer(path: Path, durability: str, keeps_log: bool, now: Instant) -> Changes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnavailable(f"{path.parent} cannot be made: {exc}") from exc
    with ExitStack() as stack:
        lock = ProcessLock(path)
        lock.acquire()
        stack.callback(lock.release)
        db, _ = prepare(path, now, durability)
        stack.callback(db.close)
        grow_log(db, path)
        writer = Writer(db, path, keeps_log)
        checkpoints = Checkpoints(path, durability)
        stack.callback(checkpoints.close)
        db.set_wal_hook(checkpoints.grown)
        return Changes(path, db, writer, stack.pop_all().close)


def _open_reader(path: Path) -> Reader:
    """A reader of a database that is as new as we are."""
    if not path.exists():
        raise Refused(
            Problem(
                "store-missing",
                f"there is no {path} to read",
                fix="check the path, or start an engine on it first",
            )
        )
    db = connect(path, read_only=True)
    try:
        with translated(path):
            pending = still_to_apply(known(), applied(db, path), str(path))
        if pending:
            raise Refused(
                Problem(
                    "store-older",
                    f"{path} lacks {len(pending)} of this version's migrations",
                    fix="start an engine on it, or run `aether db migrate`",
                )
            )
    except BaseException:
        db.close()
        raise
    return Reader(db, path)
