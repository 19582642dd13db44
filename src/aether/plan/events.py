"""Facts that reach a run, and orders that leave it."""

from __future__ import annotations

import msgspec

from ..record import Change, Instant, RunRow


class RunSubmitted(msgspec.Struct, gc=False):
    """The first fact. `run` holds all that never changes; the plan fills the rest."""

    run: RunRow
    at: Instant


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
    """Another engine goes on with this run: what was on its way is delivered again, under a new epoch."""

    at: Instant


class RunCancelled(msgspec.Struct, gc=False):
    at: Instant
    by: str = "the user"


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


Event = (
    RunSubmitted
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


Command = DispatchTask | CancelTask | NotifyHook | DispatchHook | Warn


class Decision(msgspec.Struct):
    """`changes` are what `apply` has done to the state already; a caller that cannot commit them drops
    the state. `more` asks for a TimePassed as soon as other runs had their turn. `nothing` says why an
    event changed nothing."""

    changes: list[Change]
    commands: list[Command]
    more: bool = False
    nothing: str = ""
