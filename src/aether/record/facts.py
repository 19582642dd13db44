"""What a function run tells its journal: one fact for each durable call, and for each end of one."""

from __future__ import annotations

import msgspec

from .limits import Want
from .rows import Instant


class Path(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which durable call this is: the branch (asyncio task) that made it, its name, and how many calls
    of that name the branch made before. `branch` is "" for the function itself, then "0", "0.2" …"""

    branch: str
    name: str
    occurrence: int = 0

    @property
    def scope(self) -> str:
        """The scope of the row: with the name it is unique among the rows of the run."""
        return f"{self.branch}#{self.occurrence}"


CALL_KINDS = frozenset(
    {"step", "timer", "wait", "activity", "child", "note", "signal", "update", "cancel", "continue"}
)
"""The kinds of rows below a function."""


def call_name(scope: str, name: str) -> str:
    """How a row below a function is called for people: `ship`, `ship (2)`, `0.1/ship`."""
    if scope.startswith("!"):
        return name  # it came from outside
    branch, _, occurrence = scope.rpartition("#")
    number = int(occurrence) + 1 if occurrence.isascii() and occurrence.isdigit() else 1
    path = f"{branch}/{name}" if branch else name
    return f"{path} ({number})" if number > 1 else path


class StepDone(msgspec.Struct, kw_only=True, tag="step", omit_defaults=True, gc=False):
    """A step came to its end here. `error_type` "" means it succeeded; `retry_at` that it is to run again."""

    path: Path
    where: str = ""  # file and line of the call, for people
    inputs: bytes | None = None
    outputs: bytes | None = None
    message: str = ""
    error_type: str = ""
    attempt: int = 1
    started_at: Instant
    finished_at: Instant
    retry_at: Instant | None = None


class TimerStarted(msgspec.Struct, kw_only=True, tag="timer", omit_defaults=True, gc=False):
    path: Path
    where: str = ""
    due_at: Instant


class WaitOpened(msgspec.Struct, kw_only=True, tag="wait", omit_defaults=True, gc=False):
    """The function waits for signal `path.name`; the journal decides between signal and deadline."""

    path: Path
    where: str = ""
    deadline_at: Instant | None = None


class ActivityScheduled(msgspec.Struct, kw_only=True, tag="activity", omit_defaults=True, gc=False):
    """A task for any worker that serves `executor`. `options` is an encoded ActivityOptions."""

    path: Path
    where: str = ""
    executor: str
    inputs: bytes | None = None
    options: bytes = b""


class ChildStarted(msgspec.Struct, kw_only=True, tag="child", omit_defaults=True, gc=False):
    """Another run: of the function `function`, or of the stored template `template` (`name@version`)."""

    path: Path
    where: str = ""
    run_id: str
    function: str = ""
    template: str = ""
    inputs: bytes | None = None
    options: bytes = b""  # an encoded ChildOptions


class Noted(msgspec.Struct, kw_only=True, tag="note", omit_defaults=True, gc=False):
    """A value the function has seen once and must see again: a patch taken, a fact of its surroundings."""

    path: Path
    where: str = ""
    outputs: bytes | None = None


class UpdateAnswered(msgspec.Struct, kw_only=True, tag="answer", omit_defaults=True, gc=False):
    """The handler of the update in row `ordinal` has returned, or refused it with `error_type`."""

    ordinal: int
    outputs: bytes | None = None
    message: str = ""
    error_type: str = ""


class Dropped(msgspec.Struct, tag="dropped", gc=False):
    """The function waits no longer for the call it made on `path`: the asyncio task that waited was
    cancelled, or its timeout was called off. A row that is not terminal becomes Cancelled, and is no
    answer; an activity or a child is cancelled with it. A row that is terminal already stays as it is."""

    path: Path


class StatusSet(msgspec.Struct, kw_only=True, tag="status", omit_defaults=True, gc=False):
    """What the run says of itself. Lazy. None leaves a member as it is."""

    status: bytes | None = None  # a JSON object
    attributes: dict[str, str] | None = None


class Parked(msgspec.Struct, tag="parked", gc=False):
    """Nothing runs here any more: the run waits without a slot until the next answer. It has no effect
    when there are answers that `after` does not cover."""


class Stuck(msgspec.Struct, kw_only=True, tag="stuck", gc=False):
    """The code does not fit the record: the run waits, with this reason, for code that does."""

    message: str


class Completed(msgspec.Struct, kw_only=True, tag="completed", omit_defaults=True, gc=False):
    outputs: bytes | None = None


class Failed(msgspec.Struct, kw_only=True, tag="failed", omit_defaults=True, gc=False):
    """An exception left the function. `outputs` is the encoded error."""

    message: str
    error_type: str
    outputs: bytes | None = None


class Stopped(msgspec.Struct, tag="stopped", gc=False):
    """The function has ended after its cancellation."""


class Continued(msgspec.Struct, kw_only=True, tag="continued", omit_defaults=True, gc=False):
    """The run ends well and begins anew, as another run of the same function, with `inputs`."""

    run_id: str
    inputs: bytes | None = None


Fact = (
    StepDone
    | TimerStarted
    | WaitOpened
    | ActivityScheduled
    | ChildStarted
    | Noted
    | UpdateAnswered
    | Dropped
    | StatusSet
    | Parked
    | Stuck
    | Completed
    | Failed
    | Stopped
    | Continued
)


class ActivityOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Spans in microseconds; 0 is none."""

    attempts: int = 3
    initial: int = 1_000_000
    factor: float = 2.0
    max: int = 60_000_000
    jitter: float = 0.1
    non_retryable: tuple[str, ...] = ()
    start_to_close: int = 30_000_000
    schedule_to_start: int = 0
    heartbeat: int = 0
    priority: int = 500
    limits: tuple[Want, ...] = ()


class ChildOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """`on_parent_end` says what becomes of the child when its parent ends first: `cancel` or `leave`."""

    on_parent_end: str = "cancel"
    timeout: int = 0
    labels: dict[str, str] = {}
    limits: tuple[Want, ...] = ()
