"""A function run in memory: its header, and what it waits for. All of it can be rebuilt from rows.

The function decides what happens next, so nothing here searches: a step that is done leaves its row in
the store and nothing behind. What stays is open (timers, waits, activities, children, steps to be tried
again, signals that nobody took) or an answer that the function has not been handed yet.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush

import msgspec

from ..record import (
    ActivityOptions,
    ChildOptions,
    HookRow,
    Instant,
    Phase,
    RunRow,
    RunRows,
    TaskRow,
    decode_values,
)
from .phase import LEAF_MOVES
from .spec import HookSpec, NodeSpec
from .state import _NO_RUN, DEADLINE, RETRY

BEAT = 2
STUCK = 6
"""The code of a root whose function does not fit its record: no executor gives it."""

EXECUTOR_OF_FUNCTION = "workflow:"
EXECUTOR_OF_TEMPLATE = "template:"

CALL_MOVES: dict[Phase, frozenset[Phase]] = {
    **LEAF_MOVES,
    Phase.CREATED: LEAF_MOVES[Phase.CREATED] | {Phase.RUNNING},
}
"""As tasks do; but what is begun by the function or by the engine itself is handed to nobody: a child, or
a step that is to run again, goes from Created to Running."""


class FunctionPlan(msgspec.Struct, kw_only=True):
    """One version of a function's code, with the members that the engine reads of any plan."""

    name: str
    version: str
    entry: NodeSpec
    timeout: int = 0
    priority: int = 500
    parallelism: int = 0
    hooks: dict[str, HookSpec] = {}
    notifies: bool = False
    notify_all: bool = False
    wants_starts: bool = False
    has_secrets: bool = False
    specs: dict[tuple[str, bytes | None], tuple[NodeSpec, ActivityOptions]] = {}

    def spec_of(self, row: TaskRow) -> tuple[NodeSpec, ActivityOptions]:
        """What a broker must know of an activity; many have the same."""
        key = (row.executor, row.options)
        found = self.specs.get(key)
        if found is None:
            options = decode_activity(row.options) if row.options else ActivityOptions()
            spec = NodeSpec(
                name=row.task_name,
                template="",
                kind="activity",
                executor=row.executor,
                timeout=options.start_to_close,
                priority=options.priority,
            )
            if len(self.specs) > _MANY_SPECS:
                self.specs.clear()
            found = self.specs[key] = (spec, options)
        return found


class _Metadata(msgspec.Struct):
    name: str


class _Document(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    metadata: _Metadata
    version: str = ""


class _Kind(msgspec.Struct):
    kind: str = ""


_MANY_SPECS = 1_000
decode_activity = msgspec.json.Decoder(ActivityOptions).decode
decode_child = msgspec.json.Decoder(ChildOptions).decode


def function_text(name: str, version: str) -> bytes:
    """The document of one version of a function: what its runs name."""
    return msgspec.json.encode(_Document("aether/v1", "Function", _Metadata(name), version))


def function_plan(text: bytes) -> FunctionPlan | None:
    """The plan of such a document; None if `text` is another kind of document."""
    try:
        if msgspec.json.decode(text, type=_Kind).kind != "Function":
            return None
        document = msgspec.json.decode(text, type=_Document)
    except msgspec.MsgspecError:
        return None
    name = document.metadata.name
    entry = NodeSpec(name=name, template="", kind="workflow", executor=EXECUTOR_OF_FUNCTION + name)
    return FunctionPlan(name=name, version=document.version, entry=entry)


CONTINUED = "continued"


def continued_as(run: RunRow) -> str:
    """The run that goes on in the place of this one; "" if none does."""
    if run.phase is not Phase.SUCCEEDED or not run.message.startswith("continued as "):
        return ""
    values = decode_values(run.outputs)
    return str(values[0].value) if values and values[0].name == CONTINUED else ""


class Call:
    """A durable call that is not over, or the function itself. `spec` is for the broker."""

    __slots__ = ("child", "options", "row", "spec")

    def __init__(self, row: TaskRow, plan: FunctionPlan) -> None:
        self.row = row
        self.spec = plan.entry
        self.options = _NO_OPTIONS
        self.child = _NO_CHILD
        if row.kind == "activity":
            self.spec, self.options = plan.spec_of(row)
        elif row.kind == "child" and row.options:
            self.child = decode_child(row.options)


_NO_OPTIONS = ActivityOptions(start_to_close=0)
_NO_CHILD = ChildOptions()
FROM_OUTSIDE = frozenset({"signal", "update", "cancel"})


class FunctionState:
    """What is decided on. `answered` is the number of the newest answer."""

    __slots__ = (
        "answered",
        "answers",
        "by_path",
        "cancel_message",
        "dues",
        "hooks",
        "keys",
        "known_from",
        "limited",
        "nodes",
        "now",
        "plan",
        "root",
        "run",
        "signals",
        "waits",
    )

    def __init__(self, plan: FunctionPlan) -> None:
        self.plan = plan
        self.run: RunRow = _NO_RUN
        self.root: Call | None = None
        self.nodes: dict[int, Call] = {}  # what is open, in the order of ordinals
        self.by_path: dict[tuple[str, str], Call] = {}  # of these, the function's own calls
        self.signals: dict[str, deque[Call]] = {}  # that no wait has taken
        self.waits: dict[str, dict[int, Call]] = {}
        self.keys: dict[str, int] = {}  # ordinals of signals and updates by the key they came with
        self.hooks: dict[int, HookRow] = {}
        self.dues: list[tuple[Instant, int, int]] = []
        self.now: Instant = 0
        self.answered = 0
        self.answers: list[tuple[int, TaskRow]] = []  # no deque: an empty one takes 600 bytes
        self.known_from = 0  # the answers behind this one that are not acknowledged are here
        self.limited = False  # there are limits on it, or on a call of it
        self.cancel_message = ""  # set once a cancellation has been asked for

    @property
    def created(self) -> bool:
        return self.run is not _NO_RUN

    @property
    def finished(self) -> bool:
        return self.run.phase.is_terminal

    def serves(self, epoch: int, delivery: int) -> bool:
        """Whether this delivery of the function is the one that counts."""
        root = self.root
        return (
            root is not None
            and epoch == self.run.epoch
            and delivery == root.row.delivery
            and (root.row.phase is Phase.RUNNING or root.row.phase is Phase.READY)
        )

    def answers_after(self, after: int) -> list[TaskRow] | None:
        """The answers behind `after`, in order; None if not all of them are in memory."""
        if after < self.known_from:
            return None
        return [row for number, row in self.answers if number > after]

    def acknowledge(self, after: int) -> None:
        """The function was handed all answers up to `after`."""
        answers = self.answers
        handed = 0
        for number, _ in answers:
            if number > after:
                break
            self.known_from = number
            handed += 1
        if handed:
            del answers[:handed]

    # Rows in

    def begin(self, run: RunRow) -> None:
        self.run = run
        self.now = max(run.created_at, run.decided_at)
        self.limited = run.slots is not None

    def attach(self, row: TaskRow) -> Call:
        """Take in a row that is not over."""
        call = Call(row, self.plan)
        if call.options.limits:
            self.limited = True
        ordinal = row.ordinal
        self.nodes[ordinal] = call
        kind = row.kind
        if kind == "workflow":
            self.root = call
        elif kind == "signal":
            self.signals.setdefault(row.task_name, deque()).append(call)
        elif kind not in FROM_OUTSIDE:
            self.by_path[row.scope, row.task_name] = call
            if kind == "wait":
                self.waits.setdefault(row.task_name, {})[ordinal] = call
        if row.deadline_at is not None:
            heappush(self.dues, (row.deadline_at, ordinal, DEADLINE))
        if row.retry_at is not None and kind != "step":  # the function itself waits to try it again
            heappush(self.dues, (row.retry_at, ordinal, RETRY))
        if row.beat_by is not None:
            heappush(self.dues, (row.beat_by, ordinal, BEAT))
        return call

    def settle(self, call: Call) -> None:
        """The row is terminal."""
        row = call.row
        del self.nodes[row.ordinal]
        if row.kind in FROM_OUTSIDE:
            return
        self.by_path.pop((row.scope, row.task_name), None)
        if row.kind == "wait":
            waits = self.waits[row.task_name]
            del waits[row.ordinal]
            if not waits:
                del self.waits[row.task_name]

    def take_signal(self, name: str) -> Call | None:
        """The oldest signal of that name that no wait has taken."""
        signals = self.signals.get(name)
        if signals is None:
            return None
        call = signals.popleft()
        if not signals:
            del self.signals[name]
        return call

    @classmethod
    def load(cls, plan: FunctionPlan, rows: RunRows) -> FunctionState:
        """The state that these rows stand for."""
        state = cls(plan)
        state.begin(rows.run)
        for row in rows.tasks.values():
            if row.order > state.answered:
                state.answered = row.order
            if row.kind in FROM_OUTSIDE:
                if row.kind == "cancel":
                    state.cancel_message = row.message
                elif row.template_name:
                    state.keys[row.template_name] = row.ordinal
            if not row.phase.is_terminal:
                state.attach(row)
            elif row.ordinal == 0:
                state.root = Call(row, plan)
        state.known_from = state.answered
        return state
