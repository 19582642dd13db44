"""Facts that reach a run, and orders that leave it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..record import Change, Cut, Fact, Instant, Phase, RunRow, TaskPatch, TaskRow


class RunSubmitted(msgspec.Struct, gc=False):
    """The first fact. `run` holds all that never changes; the plan fills the rest."""

    run: RunRow
    at: Instant


class RunForked(msgspec.Struct, gc=False):
    """The first fact of a fork. `run` goes on from its origin: `seq`, `head` and `decided_at` are those of
    the point; `tasks` are what is kept of the rows there, before `patches`. With `binds` whatever is open
    gets its inputs anew, because what they come from has changed."""

    run: RunRow
    cut: Cut
    tasks: list[TaskRow]
    patches: list[TaskPatch]
    at: Instant
    binds: bool = False


class TaskStarted(msgspec.Struct, gc=False):
    """Lazy: it may wait for the next event of its run, unless `Plan.wants_starts`."""

    ordinal: int
    epoch: int
    delivery: int
    worker: str
    at: Instant


class TaskCompleted(msgspec.Struct, gc=False):
    """`outputs` are encoded NamedValues, already checked and redacted."""

    ordinal: int
    epoch: int
    delivery: int
    at: Instant
    code: int = 0
    message: str = ""
    outputs: bytes | None = None
    error_type: str = ""
    worker: str = ""
    artifacts: bytes | None = None  # JSON: name of an output artifact to its config


class TaskResumed(msgspec.Struct, gc=False):
    """`payload` is encoded NamedValues that replace or join the task's inputs."""

    ordinal: int
    payload: bytes
    at: Instant


class WorkerLost(msgspec.Struct, gc=False):
    """The worker that held this delivery is gone: no failed attempt, another delivery."""

    ordinal: int
    epoch: int
    delivery: int
    at: Instant


class RunTakenOver(msgspec.Struct, gc=False):
    """Another engine goes on with this run: what was on its way is delivered again, under a new epoch.
    `owner` is its session."""

    at: Instant
    owner: int = 0


class RunCancelled(msgspec.Struct, gc=False):
    """A function is told, and may clean up, unless `force`; a document's run ends at once."""

    at: Instant
    by: str = "the user"
    force: bool = False


class RunPaused(msgspec.Struct, gc=False):
    at: Instant
    by: str = "the user"


class RunUnpaused(msgspec.Struct, gc=False):
    at: Instant


class RunFailed(msgspec.Struct, gc=False):
    """The engine itself could not go on with this run: everything open ends in Error."""

    at: Instant
    message: str


class TimePassed(msgspec.Struct, gc=False):
    """It is `at` now; whatever was due by then is due. Also sent to go on after `Decision.more`."""

    at: Instant


class HookStarted(msgspec.Struct, gc=False):
    number: int
    delivery: int
    at: Instant


class HookCompleted(msgspec.Struct, gc=False):
    number: int
    delivery: int
    at: Instant
    code: int = 0
    message: str = ""
    outputs: bytes | None = None


class HookNotified(msgspec.Struct, gc=False):
    """The notifier is done with this hook's event. Lazy."""

    number: int
    at: Instant


class JournalAppended(msgspec.Struct, gc=False):
    """What a function run has done, in order; `after` is the newest answer that it had been handed."""

    epoch: int
    delivery: int
    after: int
    facts: Sequence[Fact]
    at: Instant


class SignalReceived(msgspec.Struct, gc=False):
    """`payload` is encoded NamedValues. A signal or update with a `key` counts once."""

    name: str
    payload: bytes | None
    at: Instant
    key: str = ""


class UpdateRequested(msgspec.Struct, gc=False):
    name: str
    payload: bytes | None
    at: Instant
    key: str = ""


class ChildBegan(msgspec.Struct, gc=False):
    """The run that goes on in this one's place exists."""

    ordinal: int
    at: Instant


class ChildEnded(msgspec.Struct, gc=False):
    """The run that a child row waits for is over."""

    ordinal: int
    run_id: str
    phase: Phase
    at: Instant
    outputs: bytes | None = None
    message: str = ""


class TaskHeartbeat(msgspec.Struct, gc=False):
    """Lazy. `details` are encoded NamedValues for the next attempt, None if there is nothing new."""

    ordinal: int
    epoch: int
    delivery: int
    at: Instant
    details: bytes | None = None


class SlotsGranted(msgspec.Struct, gc=False):
    """What got into line in decision `number` has a slot of every key that it wants. `ordinal` -1 is the
    run."""

    ordinal: int
    number: int
    at: Instant


class CodeServed(msgspec.Struct, gc=False):
    """Other code for this function is served now: a run that is stuck may try again."""

    at: Instant


Event = (
    RunSubmitted
    | RunForked
    | TaskStarted
    | TaskCompleted
    | TaskResumed
    | WorkerLost
    | RunTakenOver
    | RunCancelled
    | RunPaused
    | RunUnpaused
    | RunFailed
    | TimePassed
    | HookStarted
    | HookCompleted
    | HookNotified
    | JournalAppended
    | SignalReceived
    | UpdateRequested
    | ChildBegan
    | ChildEnded
    | TaskHeartbeat
    | CodeServed
    | SlotsGranted
)


class DispatchTask(msgspec.Struct, frozen=True, gc=False):
    ordinal: int


class CancelTask(msgspec.Struct, frozen=True, gc=False):
    ordinal: int
    epoch: int
    delivery: int
    reason: str


class NotifyHook(msgspec.Struct, frozen=True, gc=False):
    """Tell the notifier. Handed out in the order in which the hooks fired."""

    number: int


class DispatchHook(msgspec.Struct, frozen=True, gc=False):
    """Run the hook's template as a task."""

    number: int


class Warn(msgspec.Struct, frozen=True, gc=False):
    """For the error sink: something was left out or skipped, and the run goes on."""

    ordinal: int | None
    what: str


class StartChild(msgspec.Struct, frozen=True, gc=False):
    """Begin the run that the row names, if there is none of that id; if it is over, tell its end."""

    ordinal: int


class CancelChild(msgspec.Struct, frozen=True, gc=False):
    """The parent is over, or waits no more: nobody wants what this run does."""

    run_id: str
    reason: str


Command = DispatchTask | CancelTask | NotifyHook | DispatchHook | Warn | StartChild | CancelChild


class Decision(msgspec.Struct):
    """`changes` are what `apply` has done to the state already; a caller that cannot commit them drops
    the state. `more` asks for a TimePassed as soon as other runs had their turn. `nothing` says why an
    event changed nothing. `superseded` are the appends among the events whose fence is over."""

    changes: list[Change]
    commands: list[Command]
    more: bool = False
    nothing: str = ""
    superseded: list[Event] = []
