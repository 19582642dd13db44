"""The journal's side of a live run: what goes there, what comes from there, and when the run may park."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import Superseded
from ..ports import Fence, Handle
from ..record import Fact, Noted, Parked, Path, StatusSet, TaskRow
from . import codec
from .calls import Call, Key, key_of
from .history import History, Misfit

if TYPE_CHECKING:
    from .host import Runtime
    from .local import LocalSteps
    from .threads import Threads

_SECOND = 1_000_000
PARKED, ENDED, STUCK, DROPPED = "parked", "ended", "stuck", "dropped"


class Recorder:
    """`ended` is done, with one of PARKED, ENDED, STUCK and DROPPED, when this delivery is over.

    `outbox` are facts that go out with the next append, `unacked` counts the appends that are not on disk.
    `after` counts the answers handed out, `received` those that came. `history` is what is left to be
    replayed; None means live. `now` is when the last thing handed out happened.
    """

    __slots__ = (
        "_alarm",
        "_instant",
        "_listener",
        "after",
        "answers",
        "clock",
        "dated",
        "detached",
        "ended",
        "fence",
        "finished",
        "handed",
        "history",
        "is_plain",
        "local",
        "misfit",
        "now",
        "open",
        "outbox",
        "parking",
        "queued",
        "reading",
        "real",
        "received",
        "run_id",
        "runtime",
        "started_at",
        "state",
        "superseded",
        "threads",
        "unacked",
        "weight",
    )
    local: LocalSteps
    threads: Threads  # only where the function is a plain one
    is_plain: bool

    def __init__(self, runtime: Runtime, run_id: str, fence: Fence, reading: bool) -> None:
        self.runtime = runtime
        self.clock = runtime.clock
        self.run_id = run_id
        self.fence = fence
        self.reading = reading  # replays to the end of the record, and records nothing
        self.real = asyncio.get_running_loop()
        self.history: History | None = None
        self.queued: list[Call] = []  # asked for in replay, and not in the record
        self.open: dict[Key, Call] = {}  # waiting for an answer
        self.answers: list[TaskRow] = []  # no deque: an empty one takes 600 bytes
        self.outbox: list[Fact] = []
        self.unacked = 0
        self.after = self.received = 0
        self.now = self.started_at = 0
        self.dated = False  # something was handed out: `now` follows from the record alone
        self.handed = 0
        self.weight = 0  # bytes of what the function was handed
        self.misfit: Misfit | None = None
        self.parking = self.finished = self.superseded = self.detached = False
        self.state = ""
        self.ended: asyncio.Future[str] = self.real.create_future()
        self._instant: int | None = None
        self._listener: asyncio.Task[None] | None = None
        self._alarm: Handle | None = None

    @abstractmethod
    def drive(self) -> None:
        """Lets the function go on."""

    @abstractmethod
    def drop(self) -> None:
        """What was done here does not count any more, or cannot be recorded: nothing of it stays."""

    @property
    def is_replaying(self) -> bool:
        """Whether the record holds more than the function has seen."""
        history = self.history
        return history is not None and (history.next is not None or history.unasked is not None)

    # -- what needs no answer

    def note(
        self, name: str, outputs: bytes | None, replayed: Callable[[], bytes | None]
    ) -> bytes | None:
        """What was noted under `name`; else, live, it is noted now as `outputs`."""
        path = Path("", name)
        history = self.history
        if history is not None:
            row = history.by_key.pop(key_of(path), None)
            if row is not None:
                return row.outputs
            if self.is_replaying:
                return replayed()
        if not self.reading and not self.detached:
            self.outbox.append(Noted(path=path, outputs=outputs))
        return outputs

    def tell(self, fact: StatusSet) -> None:
        if not (self.is_replaying or self.reading or self.detached):
            self.outbox.append(fact)

    def pass_to(self, at: int) -> None:
        """Something that happened then is handed out. Not later for a start that was: each delivery has its
        own, by its own clock."""
        self.now = max(self.now, at) if self.dated else at
        self.dated = True

    def instant(self) -> int:
        """When the last thing handed out happened. Before the first that is the start of this delivery,
        which nothing else records: asked for it, the run notes it."""
        if self.dated:
            return self.now
        if self._instant is None:
            outputs = self.note("now", codec.encode(self.now), lambda: None)
            self._instant = self.now if outputs is None else codec.decode(outputs)
        return self._instant

    # -- the journal

    def flush(self) -> None:
        if not self.outbox or self.reading:
            return
        if not self.finished and self._may_park(at_once=True):
            self._park()
        facts, self.outbox = self.outbox, []
        self.unacked += 1
        try:
            future = self.runtime.journal.append(self.run_id, self.fence, self.after, facts)
        except Superseded:
            self.superseded = True
            self.drop()
            return
        future.add_done_callback(self._acked)

    def _acked(self, future: asyncio.Future[int]) -> None:
        self.unacked -= 1
        if future.cancelled() or future.exception() is not None:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, Superseded):
                self.superseded = True
            elif error is not None:
                self.runtime.report(self.run_id, "record what a function did", error)
            self.drop()
            return
        if self.unacked or self.state:
            return
        if self.finished:
            self._end(STUCK if self.misfit is not None else ENDED)
        elif self.parking:
            if future.result() > self.received:
                self.parking = False  # an answer came first: it goes on here
                self._listen()
            else:
                self._end(PARKED)
        else:
            if future.result() > self.received:
                self._listen()
            self.local.begin()
            self._rest()

    def _listen(self) -> None:
        if self._listener is None and not self.state:
            self._listener = self.real.create_task(self._hear())

    def listen(self) -> None:
        """Hears of answers from now on, whatever it does meanwhile."""
        if not (self.state or self.parking or self.detached):
            self._listen()

    async def _hear(self) -> None:
        try:
            while True:
                rows = await self.runtime.journal.answers(self.run_id, self.fence, self.received)
                for row in rows:
                    if row.order > self.received:
                        self.received = row.order
                        self.answers.append(row)
                self.drive()
        except Superseded:
            self._listener = None
            self.superseded = True
            self.drop()
        except Exception as error:  # noqa: BLE001 - without answers it cannot go on: elsewhere it can
            self._listener = None
            self.runtime.report(self.run_id, "hear what a run waits for", error)
            self.drop()

    # -- rest

    @property
    def _is_resting(self) -> bool:
        if self.queued or self.parking or self.local.busy:
            return False
        return not (self.is_plain and self.threads.busy)

    def _may_park(self, *, at_once: bool) -> bool:
        """Whether all that is left are answers; at once if they are known to be a second away."""
        if not self._is_resting or self.answers or self.history is not None or self.reading:
            return False
        if not at_once:
            return True
        soon = self.clock.now() + _SECOND
        return bool(self.open) and all(
            (due := call.due_at()) is not None and due > soon for call in self.open.values()
        )

    def _park(self) -> None:
        self.parking = True
        self.outbox.append(Parked())
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None

    def _rest(self) -> None:
        if self.reading:
            if self.history is None and not (self.state or (self.is_plain and self.threads.busy)):
                self._end(PARKED)
            return
        if self.state or self.finished or self.unacked or self.outbox or not self._is_resting:
            return
        if self._may_park(at_once=True):
            self._park()
            self.flush()
        else:
            self._listen()
            if self._alarm is None:
                handed = self.handed
                self._alarm = self.clock.call_in(_SECOND, lambda: self._tire(handed))

    def _tire(self, handed: int) -> None:
        """It has waited for a second."""
        self._alarm = None
        if self.handed == handed and not self.unacked and self._may_park(at_once=False):
            self._park()
            self.flush()

    def _end(self, state: str) -> None:
        self.state = state
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None
        if not self.ended.done():
            self.ended.set_result(state)
