"""The `aether/v1` protocol as frozen structs, member by member as `docs/protocol.md` lists them.

Absent members carry the value that means "unset" (empty text, None, empty tuple). Defaults that the
protocol gives are applied by the plan, not here, so that dumping a document returns what was written.
"""

from __future__ import annotations

from typing import Any

import msgspec

API_VERSION = "aether/v1"


class Part(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The base of every protocol struct: camelCase outside, snake_case inside."""


class Metadata(Part, frozen=True):
    name: str = ""
    namespace: str = "default"
    version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class SecretKeyRef(Part, frozen=True):
    name: str
    key: str


class ValueFrom(Part, frozen=True):
    """A reference. The first member that is set wins, in this order."""

    path: str = ""
    parameter: str = ""
    expression: str = ""
    secret_key_ref: SecretKeyRef | None = None


class Parameter(Part, frozen=True):
    """A named value. JSON null counts as "not set" for `value` and `default` alike."""

    name: str
    type: str = ""
    value: Any = None
    default: Any = None
    description: str = ""
    enum: tuple[Any, ...] = ()
    value_from: ValueFrom | None = None


class ArtifactSource(Part, frozen=True):
    type: str
    config: dict[str, Any] = {}


class Archive(Part, frozen=True):
    type: str = "none"


class Artifact(Part, frozen=True):
    """`from_` chains another task's output artifact: `tasks.<name>.outputs.artifacts.<artifact>`."""

    name: str
    from_: str = msgspec.field(default="", name="from")
    source: ArtifactSource | None = None
    archive: Archive | None = None


class Values(Part, frozen=True):
    """`arguments` and `inputs`."""

    parameters: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


class Outputs(Part, frozen=True):
    parameters: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


class Backoff(Part, frozen=True):
    initial: str = "1s"
    factor: float = 2.0
    max: str = "1m"
    jitter: float = 0.0


class Retry(Part, frozen=True):
    limit: int = 0
    expression: str = ""
    backoff: Backoff | None = None
    non_retryable: tuple[str, ...] = ()


class ContinueOn(Part, frozen=True):
    failed: bool = False
    error: bool = False
    timeout: bool = False


class PhaseConditions(Part, frozen=True):
    succeeded: str = ""
    failed: str = ""
    error: str = ""


class Hook(Part, frozen=True):
    template: str = ""


class Hooks(Part, frozen=True):
    on_start: Hook | None = None
    on_success: Hook | None = None
    on_failure: Hook | None = None
    on_error: Hook | None = None
    on_suspend: Hook | None = None
    on_resume: Hook | None = None
    on_cancel: Hook | None = None
    on_exit: Hook | None = None


class ExecutorRef(Part, frozen=True):
    type: str = ""


class Resources(Part, frozen=True):
    cpu: str | int | float | None = None
    memory: str = ""
    gpu: str = ""


class TemplateRef(Part, frozen=True):
    """A stored `WorkflowTemplate`; without a version the latest at submit."""

    name: str
    version: str = ""


class Limit(Part, frozen=True):
    """How much of what names `key` may go on at once, and how much may begin within a span of time."""

    key: str = ""
    concurrency: int = 0
    rate: str = ""
    fair: str = ""


class Task(Part, frozen=True):
    """A task template, or a node of a DAG: which members count depends on the place."""

    name: str = ""
    template: str = ""
    template_ref: TemplateRef | None = None
    executor: ExecutorRef | None = None
    inputs: Values | None = None
    outputs: Outputs | None = None
    arguments: Values | None = None
    dependencies: tuple[str, ...] = ()
    when: str = ""
    timeout: str = ""
    retry: Retry | None = None
    on_worker_lost: str = ""
    continue_on: ContinueOn | None = None
    resources: Resources | None = None
    phase_conditions: PhaseConditions | None = None
    hooks: Hooks | None = None
    limits: tuple[Limit, ...] = ()


class Dag(Part, frozen=True):
    name: str = ""
    inputs: Values | None = None
    outputs: Outputs | None = None
    entrypoints: str | tuple[str, ...] | None = None
    tasks: tuple[Task, ...] = ()
    continue_on: ContinueOn | None = None
    phase_conditions: PhaseConditions | None = None
    timeout: str = ""
    fail_fast: bool = False
    parallelism: int = 0


class Aggregate(Part, frozen=True):
    strategy: str = "last"
    parameters: tuple[str, ...] = ()


class Loop(Part, frozen=True):
    name: str = ""
    inputs: Values | None = None
    outputs: Outputs | None = None
    items: tuple[Any, ...] = ()
    items_from: str = ""
    repeat_condition: str = ""
    concurrency: int = 0
    max_iterations: int = 0
    body: str = ""
    body_ref: TemplateRef | None = None
    arguments: Values | None = None
    aggregate: Aggregate | None = None
    phase_conditions: PhaseConditions | None = None
    timeout: str = ""
    fail_fast: bool = False
    continue_on: ContinueOn | None = None
    retry: Retry | None = None


class Template(Part, frozen=True):
    """Exactly one member is set; `kind` and `body` say which."""

    task: Task | None = None
    dag: Dag | None = None
    loop: Loop | None = None

    @property
    def body(self) -> Task | Dag | Loop:
        part = self.task or self.dag or self.loop
        assert part is not None, "validation lets no empty template through"
        return part

    @property
    def kind(self) -> str:
        return "task" if self.task else "dag" if self.dag else "loop"


class WorkflowSpec(Part, frozen=True):
    entrypoint: str = ""
    workflow_template_ref: TemplateRef | None = None
    arguments: Values | None = None
    timeout: str = ""
    priority: int = 0
    max_nested_depth: int = 0
    parallelism: int = 0
    limits: tuple[Limit, ...] = ()
    templates: tuple[Template, ...] = ()
    hooks: Hooks | None = None


class CronSpec(Part, frozen=True):
    schedule: str = ""
    timezone: str = "UTC"
    start_at: str = ""
    end_at: str = ""
    concurrency_policy: str = "Allow"
    starting_deadline_seconds: int | None = None
    successful_jobs_history_limit: int | None = None
    failed_jobs_history_limit: int | None = None
    suspend: bool = False
    catch_up: str = "none"
    catch_up_window: str = "24h"
    jitter: str = ""
    workflow_spec: WorkflowSpec = WorkflowSpec()


class _Envelope(Part, frozen=True, omit_defaults=False):
    """Every member is written out: text without its kind could not be read again."""

    api_version: str = API_VERSION
    kind: str = ""
    metadata: Metadata = Metadata()


class Workflow(_Envelope, frozen=True, omit_defaults=False):
    kind: str = "Workflow"
    spec: WorkflowSpec = WorkflowSpec()


class WorkflowTemplate(_Envelope, frozen=True, omit_defaults=False):
    """The same spec as a Workflow, kept under `name@version` instead of being run."""

    kind: str = "WorkflowTemplate"
    spec: WorkflowSpec = WorkflowSpec()


class CronWorkflow(_Envelope, frozen=True, omit_defaults=False):
    kind: str = "CronWorkflow"
    spec: CronSpec = CronSpec()


AnyDocument = Workflow | CronWorkflow | WorkflowTemplate
