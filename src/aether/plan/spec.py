"""What never changes about a run: its document, compiled once and shared by all its runs."""

from __future__ import annotations

from typing import Any

import msgspec

from ..document import Workflow
from ..expr import Program, Template
from ..record import Phase, SecretRef


class Source(msgspec.Struct, frozen=True):
    """Where one value comes from. Exactly one of the first five is set; `default` follows a failure."""

    constant: Any = None
    template: Template | None = None
    key: str = ""
    program: Program | None = None
    secret: SecretRef | None = None
    default: Any = None
    default_template: Template | None = None  # the default's text has placeholders


class Slot(msgspec.Struct, frozen=True):
    """One named value to be filled; `source` None leaves it without a value."""

    name: str
    type: str
    source: Source | None
    checked: bool = False  # its text had placeholders, so its type is checked once they are filled
    from_call: bool = False  # a value of the call site: it beats the members of a loop's item


class ArtifactSlot(msgspec.Struct, frozen=True):
    name: str
    from_: str = ""
    type: str = ""
    config: dict[str, Any] = {}
    archive: str = "none"


class Binding(msgspec.Struct, frozen=True):
    """How the inputs of a node are filled. `encoded` is the ready result when nothing varies."""

    slots: tuple[Slot, ...] = ()
    encoded: bytes | None = None
    varies: bool = False
    artifacts: tuple[ArtifactSlot, ...] = ()


class RetrySpec(msgspec.Struct, frozen=True):
    limit: int
    expression: Program | None = None
    unanswerable: bool = False  # an expression without an evaluator: never retried
    initial: int = 0
    factor: float = 1.0
    max: int = 0
    jitter: float = 0.0
    non_retryable: frozenset[str] = frozenset()


# Looking a phase up in its class runs Python code: the hot path has them at hand.
_SUCCEEDED, _SKIPPED, _FAILED, _ERROR, _TIMEOUT = (
    Phase.SUCCEEDED,
    Phase.SKIPPED,
    Phase.FAILED,
    Phase.ERROR,
    Phase.TIMEOUT,
)


class ContinueSpec(msgspec.Struct, frozen=True):
    failed: bool = False
    error: bool = False
    timeout: bool = False

    def tolerates(self, phase: Phase) -> bool:
        """Whether a node that ended in `phase` lets its dependants run."""
        return (
            phase is _SUCCEEDED
            or phase is _SKIPPED
            or (phase is _FAILED and self.failed)
            or (phase is _ERROR and self.error)
            or (phase is _TIMEOUT and self.timeout)
        )


class Conditions(msgspec.Struct, frozen=True):
    """phaseConditions in the order in which they are tried."""

    programs: tuple[tuple[Phase, Program], ...]


class HookSpec(msgspec.Struct, frozen=True):
    template: str
    executor: str
    binding: Binding
    resources: bytes | None = None


class OutputSlot(msgspec.Struct, frozen=True):
    name: str
    type: str
    literal: Any = None
    source: Source | None = None


class LimitSpec(msgspec.Struct, frozen=True):
    """A limit as a document declares it; `key` and `group` are text, or have placeholders."""

    key: str | Template
    concurrency: int = 0
    count: int = 0
    span: int = 0
    group: str | Template = ""


class NodeSpec(msgspec.Struct, kw_only=True):
    """One place where a template (or an inline executor) is used: a DAG node, a loop body, the entry."""

    name: str
    template: str
    kind: str
    index: int = 0
    executor: str = ""
    binding: Binding = Binding()
    outputs: tuple[OutputSlot, ...] = ()
    output_artifacts: tuple[ArtifactSlot, ...] = ()
    timeout: int = 0
    priority: int = 0  # 0 is the plan's
    retry: RetrySpec | None = None
    fails_when_lost: bool = False
    tolerance: ContinueSpec = ContinueSpec()
    when: Program | None = None
    when_text: str = ""
    conditions: Conditions | None = None
    hooks: dict[str, HookSpec] = {}
    resources: bytes | None = None
    dependencies: tuple[int, ...] = ()
    dependants: tuple[int, ...] = ()
    limits: tuple[LimitSpec, ...] = ()
    body: DagSpec | LoopSpec | None = None


class DagSpec(msgspec.Struct, kw_only=True):
    nodes: tuple[NodeSpec, ...]
    by_name: dict[str, int]
    waiting: tuple[int, ...]  # unsatisfied dependencies of each node; -1 outside the entrypoints
    outputs: tuple[OutputSlot, ...] = ()
    output_artifacts: tuple[ArtifactSlot, ...] = ()
    conditions: Conditions | None = None
    fail_fast: bool = False
    parallelism: int = 0
    passes_on: bool = False  # gives out whatever its only node gives


class LoopSpec(msgspec.Struct, kw_only=True):
    body: NodeSpec
    arguments: tuple[Slot, ...] = ()
    items: tuple[Any, ...] = ()
    items_key: str = ""
    items_program: Program | None = None
    items_text: str = ""
    repeat: Program | None = None
    concurrency: int = 0
    max_iterations: int = 0
    strategy: str = "last"
    keep: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    conditions: Conditions | None = None
    fail_fast: bool = False


class Plan(msgspec.Struct, kw_only=True):
    """A document, ready to decide by. `wants_starts`: an onStart hook, or a task that must not run
    twice, needs starts committed at once."""

    document: Workflow
    entry: NodeSpec
    parameters: dict[str, Any]  # workflow parameters before the arguments of a submit
    timeout: int
    priority: int
    parallelism: int
    hooks: dict[str, HookSpec]
    notifies: bool = True  # there is a notifier to tell
    notify_all: bool = False
    wants_starts: bool = False
    has_secrets: bool = False
    limits: tuple[LimitSpec, ...] = ()  # of the whole run
    limited: bool = False  # there are limits somewhere in it
