"""TaskBroker: carries assignments from the engine to workers, and results back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from .executor import Outcome


class Fence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which delivery of a task this is. A result behind its task's fence changes nothing."""

    epoch: int
    delivery: int


class ArtifactTransfer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One artifact to fetch before, or to keep after, the executor runs."""

    name: str
    type: str
    config: dict[str, Any] = {}
    archive: str = "none"
    output: bool = False


class Assignment(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One delivery of one task. `inputs` are encoded NamedValues, secrets already resolved."""

    run_id: str
    task_run_id: str
    fence: Fence
    task_name: str
    executor_type: str
    template_name: str = ""
    inputs: bytes | None = None
    attempt: int = 1
    retry_count: int = 0
    resumed: bool = False  # this attempt was suspended before
    timeout: int = 0  # microseconds for this attempt; 0 is none
    priority: int = 500
    resources: bytes | None = None  # JSON
    artifacts: tuple[ArtifactTransfer, ...] = ()
    details: bytes | None = None  # what the last heartbeat of an earlier attempt told


class TaskResult(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What a worker reports when an attempt is over, or suspended.

    `outputs` are `outcome.parameters` as encoded NamedValues, when the sender has encoded them already.
    `executor_type`, when the sender knows it, tells which schema the outputs must fit.
    """

    task_run_id: str
    fence: Fence
    outcome: Outcome
    worker_id: str = ""
    outputs: bytes | None = None
    executor_type: str = ""


class Cancellation(msgspec.Struct, frozen=True, gc=False):
    task_run_id: str
    fence: Fence
    reason: str = ""


class TaskEvents(Protocol):
    """What a broker tells the engine. All may be called again with the same facts, and out of order.

    Neither blocks nor raises: a fact about an unknown or finished task run changes nothing. Call them
    from the event loop's thread.
    """

    def on_task_started(self, task_run_id: str, fence: Fence, worker_id: str = "") -> None: ...

    def on_task_heartbeat(self, task_run_id: str, fence: Fence, details: bytes | None) -> None: ...

    def on_task_completed(self, result: TaskResult) -> None: ...


class TaskBroker(Protocol):
    """Delivers at least once; a broker is a hint, the store is the truth.

    Engine side. `connect` is called once, before the first `dispatch`; from then on the broker reports
    to `events`. Connecting twice, and dispatching before, raise Refused `broker-connected` and
    `broker-not-connected`. `dispatch` queues assignments, higher `priority` first and otherwise in
    order, and returns without waiting for a worker. `cancel` drops a queued delivery, and tells the
    worker that holds it; another delivery of the same task is not touched; an unknown or finished one
    is ignored. Neither raises for a single bad assignment: one whose type nobody serves waits.

    Worker side. `fetch` waits until there is work of one of `executor_types` (all types if empty) and
    returns at least one and at most `limit` assignments (a limit below 1 counts as 1); no other fetch
    gets the same delivery. A fetch that is cancelled loses no delivery. It returns an empty sequence
    only after `close`. `start` reports that an attempt begins, and answers False when that delivery was
    cancelled meanwhile or is over: then it must not run, and nothing is reported. `heartbeat` reports
    that its holder is alive, and `details` if they are not None, ahead of what it reports later; it
    answers False as `start` does, and then nothing is reported. `complete` reports
    its end, also of a delivery that was cancelled or that the broker does not know: the fence decides
    what that is worth. `cancelled` waits for the next batch of deliveries that this worker must stop
    and hears of each once; after `close` it returns an empty sequence.

    `close` drops what is queued, makes `dispatch` raise Refused `broker-closed`, lets waiting fetches
    return empty, still reports what was running, and is idempotent.
    """

    def connect(self, events: TaskEvents) -> None: ...

    async def dispatch(self, assignments: Sequence[Assignment]) -> None: ...

    async def cancel(self, cancellations: Sequence[Cancellation]) -> None: ...

    async def fetch(
        self, worker_id: str, executor_types: Sequence[str] = (), limit: int = 1
    ) -> Sequence[Assignment]: ...

    async def start(self, assignment: Assignment, worker_id: str) -> bool: ...

    async def heartbeat(self, assignment: Assignment, details: bytes | None = None) -> bool: ...

    async def complete(self, result: TaskResult) -> None: ...

    async def cancelled(self, worker_id: str) -> Sequence[Cancellation]: ...

    async def close(self) -> None: ...
