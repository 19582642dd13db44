"""A run while this engine works on it: its state, what waits to be decided, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..errors import Superseded
from ..plan import (
    AnyPlan,
    AnyState,
    Decision,
    Event,
    FunctionState,
    JournalAppended,
    RunForked,
    RunSubmitted,
    TimePassed,
)
from ..record import HookRow, Instant, RunRows, TaskRow, Token

EVENTS = 256
"""At most so many events go into one decision."""

SHOWN = 64
"""Rows of a run that are kept to show how it ended; those of a larger one are read from the store."""


class Request:
    """An event that somebody waits for, and that may be refused: it is decided alone."""

    __slots__ = ("event", "reply")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self) -> None:
        if not self.reply.done():
            self.reply.set_result(None)

    def refused(self, error: BaseException) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)


class Joining(Request):
    """A request that may be decided together with other events."""

    __slots__ = ()


class Append(Joining):
    """What a function run has done; `recorded` is done with the number of
    the newest answer once all of it is safe, and after `withhold` has let go of what a pause holds up."""

    __slots__ = ("newest", "recorded", "run_id", "superseded", "withheld", "_withhold")

    def __init__(self, event: Event, run_id: str, withhold: Callable[[Append], None]) -> None:
        self.event = event
        self.run_id = run_id
        self.recorded: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.newest = 0
        self.superseded = False
        self.withheld = False
        self._withhold = withhold

    def decided(self, state: AnyState, decision: Decision) -> None:
        """What is to be told once the decision is committed."""
        if not isinstance(state, FunctionState) or any(
            event is self.event for event in decision.superseded
        ):
            self.superseded = True
            return
        self.superseded = False
        self.newest = state.answered
        paused = state.run.paused_at is not None
        event = self.event
        assert isinstance(event, JournalAppended), "appends carry nothing else"
        self.withheld = paused and state.serves(event.epoch, event.delivery)

    def done(self) -> None:
        if self.superseded:
            self.refused(Superseded())
        elif self.withheld:
            self._withhold(self)
        elif not self.recorded.done():
            self.recorded.set_result(self.newest)

    def refused(self, error: BaseException) -> None:
        """Whatever the reason: nobody can say that it was recorded, and the function is to be dropped."""
        if not self.recorded.done():
            self.recorded.set_exception(Superseded())
            self.recorded.exception()  # whoever appended may be gone


class LiveRun:
    """`state` is a cache of what the store holds under `token`; None means: load it before deciding.
    `rows` are all rows of the run, while this engine has seen each of them come and they are few; they
    are the state's own, which it changes in place."""

    __slots__ = (
        "busy",
        "document",
        "due_at",
        "events",
        "failures",
        "plan",
        "queued",
        "rows",
        "run_id",
        "secrets",
        "state",
        "token",
        "unsure",
        "urgent",
    )

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.plan: AnyPlan | None = None
        self.state: AnyState | None = None
        self.token: Token | None = None
        self.document: tuple[bytes, bytes] | None = None  # until the run is created
        self.rows: list[TaskRow | HookRow] | None = None
        self.events: list[Event | Request] = []  # no deque: an empty one takes 600 bytes
        self.queued = False  # stands in the line of runs to be decided
        self.busy = False  # a commit of it is in flight
        self.urgent = False  # what came meanwhile is not lazy
        self.due_at: Instant | None = None  # what the timeout watcher was told last
        self.secrets: frozenset[str] = frozenset()  # values to be kept out of every record
        self.failures = 0  # decisions in a row that failed for a fault of ours
        self.unsure: Unsure | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing is under way here that the store does not know. Secrets are known to nobody else:
        a run that has them is kept until its tasks are over."""
        return not (self.events or self.busy or self.queued or self.unsure or self.secrets)

    def take(self) -> list[Event | Request]:
        """The events of the next decision: one request alone, or as many others as may go."""
        events = self.events
        count = 0
        for event in events[:EVENTS]:
            if isinstance(event, Request) and not isinstance(event, Joining):
                count = count or 1
                break
            count += 1
        taken = events[:count]
        del events[:count]
        self.urgent = bool(events)
        return taken

    def add(self, event: Event, *, first: bool = False) -> None:
        """An event of the engine's own: it does not wait for another."""
        if first:
            self.events.insert(0, event)
        else:
            self.events.append(event)
        self.urgent = True

    def put_back(self, taken: list[Event | Request]) -> None:
        self.events[:0] = taken
        self.urgent = True

    def forget_state(self) -> None:
        self.state = None
        self.rows = None

    def saw(self, row: TaskRow | HookRow) -> None:
        """A row came into being. Those of iterations are not kept: the state lets go of them early."""
        if self.rows is not None:
            self.rows.append(row)
            if len(self.rows) > SHOWN or (type(row) is TaskRow and row.kind == "loop"):
                self.rows = None

    def at_its_end(self) -> RunRows | None:
        """The whole run, if nothing can happen to it any more and its rows are here."""
        state, rows = self.state, self.rows
        if state is None or rows is None or not state.finished:
            return None
        whole = RunRows(state.run)
        for row in rows:
            if isinstance(row, TaskRow):
                whole.tasks[row.ordinal] = row
            else:
                whole.hooks[row.number] = row
        return whole

    def refuse_begin(self, error: Exception) -> list[Event | Request]:
        """The run was to be created, and exists: whoever asked for it is told. Returns what else came."""
        if self.unsure is not None:
            self.put_back(self.unsure.taken)
            self.unsure = None
        others: list[Event | Request] = []
        for event in self.events:
            if isinstance(event, Request) and isinstance(event.event, RunSubmitted | RunForked):
                event.refused(error)
            else:
                others.append(event)
        self.events.clear()
        return others

    def fail_requests(self, error: Exception) -> None:
        """Whoever waits for something here is told `error`, and all that was to be decided is dropped."""
        if self.unsure is not None:
            self.put_back(self.unsure.taken)
            self.unsure = None
        for event in self.events:
            if isinstance(event, Request):
                event.refused(error)
        self.events.clear()


class Unsure:
    """A commit that may have happened: the decision, its number, the hash of its log entry, epoch and owner
    under which it was made, and the events it was made of."""

    __slots__ = ("decision", "head", "reign", "seq", "taken")

    def __init__(
        self,
        seq: int,
        head: bytes,
        reign: tuple[int, int],
        taken: list[Event | Request],
        decision: Decision,
    ) -> None:
        self.seq = seq
        self.head = head
        self.reign = reign
        self.taken = taken
        self.decision = decision


def event_of(item: Event | Request) -> Event:
    return item.event if isinstance(item, Request) else item


def is_from_outside(item: Event | Request) -> bool:
    """Somebody who is no part of the run waits for this."""
    if not isinstance(item, Request) or isinstance(item, Joining):
        return False
    return type(item.event) is not TimePassed


def note_appends(taken: list[Event | Request], state: AnyState, decision: Decision) -> None:
    for item in taken:
        if type(item) is Append:
            item.decided(state, decision)
