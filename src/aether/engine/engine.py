"""The engine: every call, and the ports it was wired with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from ..document import Workflow
from ..errors import InvalidState, NotFound, Problem, WaitTimeout
from ..expr import Evaluator
from ..plan import RunCancelled, RunPaused, RunSubmitted, RunUnpaused, TaskResumed
from ..ports import (
    ArtifactRepository,
    Chance,
    Clock,
    CronScheduler,
    ErrorSink,
    Execution,
    Fence,
    IdGenerator,
    Notifier,
    Schema,
    SecretProvider,
    Store,
    TaskBroker,
    TaskResult,
    TimeoutWatcher,
    VarsSource,
    WorkerRegistry,
)
from ..record import ACTION_LOG, Instant, NamedValue, RunRow, encode_json, encode_values
from ..validate import Known
from .catalog import Catalog
from .crons import Crons
from .documents import Documents, Prepared, Submittable, check_arguments
from .faults import Faults, SinkOf
from .forks import Forking, forks_of
from .functions import ChildStarter, Functions
from .keeping import Keeping, Retention, drop_artifacts
from .ledger import Ledger
from .limited import covering
from .membership import LEASE, Membership
from .refusals import task_number
from .runs import IN_MEMORY, Runs
from .sizes import LIMIT, Sizes
from .templates import Templates
from .tiers import Tiers, known_tier
from .travel import Travel
from .view import execution_of
from .wiring import required

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Engine(Catalog, Forking, Functions, Travel):
    """Runs documents. `store`, `broker` and `id_generator` are required; a port left out means none.

    Without an evaluator, expressions are refused at submit; without a cron scheduler, cron calls;
    without a secret provider, references to secrets. Without a timeout watcher nothing times out, and
    submits of documents with timeouts warn. `notify` is "declared", or "all" for events of hooks that
    no document declares. At most about `runs_in_memory` unfinished runs keep their state in memory; the
    others wait in the store until something happens to them. `audit_key` signs the head of each run's log.
    `retention` says how long runs are kept after their end; without it, for ever.
    `tier` is that of runs whose submit names none; all but `state-action-log` need `volatile`, an empty
    store in memory that is the engine's own. A value of more than `payload_limit` bytes is refused.
    Of several engines on one store each is a `node`, a name for people; the runs of one that has not
    been heard of for `lease` are taken up by the others. `sole` lets it keep limits on a shared store.
    """

    def __init__(
        self,
        *,
        store: Store | None = None,
        broker: TaskBroker | None = None,
        id_generator: IdGenerator | None = None,
        clock: Clock,
        evaluator: Evaluator | None = None,
        notifier: Notifier | None = None,
        timeout_watcher: TimeoutWatcher | None = None,
        cron_scheduler: CronScheduler | None = None,
        secret_provider: SecretProvider | None = None,
        artifact_repositories: Sequence[ArtifactRepository] = (),
        vars_sources: Sequence[VarsSource] = (),
        worker_registry: WorkerRegistry | None = None,
        error_sink: ErrorSink | None = None,
        notify: str = "declared",
        runs_in_memory: int = IN_MEMORY,
        chance: Chance | None = None,
        audit_key: bytes | None = None,
        retention: Retention | None = None,
        volatile: Store | None = None,
        tier: str = ACTION_LOG,
        payload_limit: int = LIMIT,
        lease: timedelta = timedelta(microseconds=LEASE),
        node: str = "",
        sole: bool = False,
    ) -> None:
        self._faults = Faults(error_sink)
        self._store: Store = required("store", store)
        self._tiers: Tiers | None = None
        if volatile is not None:
            # With the log each decision waits for the disk anyway: rounds beside it would only be smaller.
            ahead = int(tier != ACTION_LOG)
            self._tiers = Tiers(self._store, volatile, clock, self._faults, ahead=ahead)
            self._store = self._tiers
        self._tier = known_tier(tier, self._tiers is not None)
        self._broker: TaskBroker = required("broker", broker)
        self._ids: IdGenerator = required("id_generator", id_generator)
        self._clock = clock
        self._timeouts = timeout_watcher
        self._scheduler = cron_scheduler
        self._secrets = secret_provider
        self._notifier = notifier
        self._workers = worker_registry
        self._vars = tuple(vars_sources)
        self._artifacts = {repository.type: repository for repository in artifact_repositories}
        Travel.__init__(self)
        self._schemas: dict[str, Schema] = {}
        self._templates = Templates(self._store, clock)
        self._documents = Documents(
            self._templates,
            evaluator,
            frozenset(source.namespace for source in self._vars),
            self._known,
            notifies=notifier is not None,
            notify_all=notify == "all",
        )
        self._sizes = Sizes(payload_limit)
        self._membership = Membership(self._store, clock, self._faults, lease // _MICROSECOND, node)
        self._runs = Runs(
            store=self._store,
            broker=self._broker,
            clock=clock,
            documents=self._documents,
            timeouts=timeout_watcher,
            notifier=notifier,
            secrets=secret_provider,
            faults=self._faults,
            ledger=Ledger(chance, audit_key),
            schema_of=self._schemas.get,
            ended=self._run_ended,
            membership=self._membership,
            sizes=self._sizes,
            in_memory=runs_in_memory,
        )
        self._runs.gate.is_sole = sole
        starter = ChildStarter(
            self._begin_function,
            self._begin,
            self._documents,
            self._store,
            self.cancel,
            self._runs,
            self._version_served,
        )
        self._runs.children.connect(starter, clock, self._faults, self._runs.add)
        self._crons: Crons | None = None
        if cron_scheduler is not None:
            self._crons = Crons(
                store=self._store,
                scheduler=cron_scheduler,
                clock=clock,
                ids=self._ids,
                errors=SinkOf(self._faults),
                submit=self._submit_fire,
                cancel=self.cancel,
                get=self.get,
                delete=self.delete,
            )
            # Other engines add crons, and change them.
            self._membership.renewed = self._crons.refresh
        self._keeping: Keeping | None = None
        if retention is not None:
            self._keeping = Keeping(retention, self._store, clock, self._faults, self.delete)
        self._started = False
        self._stopped = False

    # Life

    async def start(self) -> None:
        """Open the store, take up every unfinished run, and begin. Twice is an InvalidState. A start
        that fails stops what it began."""
        if self._started:
            raise InvalidState(
                Problem(
                    "already-started",
                    "this engine has been started before",
                    fix="start each engine once; after a stop make a new one over the same store",
                )
            )
        self._started = True
        try:
            await self._begin_work()
        except BaseException:
            await self.stop()
            raise

    async def _begin_work(self) -> None:
        await self._store.open()
        for row in await self._store.schemas():
            self._schemas[row.type] = msgspec.json.decode(row.schema, type=Schema)
        self._broker.connect(self._runs)
        await self._membership.start()
        await self._runs.start()
        if self._crons is not None:
            await self._crons.start()
        if self._keeping is not None:
            self._keeping.start()

    async def stop(self) -> None:
        """Decide nothing more, close broker and notifier. Unfinished runs go on with the next start of
        an engine over the same store, which stays open: it belongs to whoever made it. Idempotent."""
        if not self._started or self._stopped:
            return
        self._stopped = True
        async with AsyncExitStack() as stack:  # what fails to stop keeps nothing else from it
            if self._notifier is not None:
                stack.push_async_callback(self._notifier.close)
            stack.push_async_callback(self._broker.close)
            stack.push_async_callback(self._membership.stop)
            if self._tiers is not None:
                stack.push_async_callback(self._tiers.rest)
            stack.push_async_callback(self._runs.stop)
            if self._crons is not None:
                stack.push_async_callback(self._crons.stop)
            if self._keeping is not None:
                stack.push_async_callback(self._keeping.stop)

    # Runs

    async def submit(
        self,
        document: Submittable,
        arguments: Mapping[str, Any] | None = None,
        *,
        run_id: str = "",
        labels: Mapping[str, str] | None = None,
        lenient: bool = False,
        tier: str = "",
    ) -> str:
        """Begin a run and return its id once it is stored. A refused submit leaves nothing behind.
        `tier` says how much of it outlives this process: `memory`, `snapshot` or `state-action-log`.

        Raises InvalidDocument with every problem, Refused for arguments that do not fit, for a
        `run_id` that exists and for a tier that this engine does not have.
        """
        self._must_run("submit")
        kept = known_tier(tier, self._tiers is not None) if tier else self._tier
        prepared = await self._documents.prepare(document, lenient=lenient)
        encoded = self._sizes.submitted(check_arguments(prepared.document, arguments))
        name = prepared.document.metadata.name
        chosen = run_id or self._ids.generate("Workflow", name)
        await self._begin(prepared, chosen, encoded, labels, tier=kept)
        return chosen

    async def get(self, run_id: str) -> Execution:
        """The run as it stands. Raises NotFound."""
        await self._runs.write_now(run_id)
        rows = (await self._store.load([run_id]))[0]
        if rows is None:
            raise _no_run(run_id)
        plan = self._documents.known_plan(rows.run.document)
        served = None if rows.run.phase.is_terminal else await self._served()
        forks = await forks_of(self._store, rows.run)
        obstacles = self._runs.gate.obstacles(run_id)
        return execution_of(rows, served, plan.parallelism if plan else 0, forks, obstacles)

    async def wait(self, run_id: str, timeout: timedelta | float | None = None) -> Execution:
        """The run once it is over. Raises NotFound, and WaitTimeout when `timeout` (seconds) passes first."""
        self._must_run("wait")
        try:
            rows = await self._runs.wait(run_id, _micros(timeout))
        except WaitTimeout as late:
            raise await self._with_reasons(late, run_id) from None
        return await self.get(run_id) if rows is None else execution_of(rows, None)

    async def watch(self, run_id: str) -> AsyncIterator[Execution]:
        """The run now, and again after each change, until it is over. Changes may be skipped: the
        last view always is the last state."""
        self._must_run("watch")
        with self._runs.changes(run_id) as changes:
            while True:
                execution = await self.get(run_id)
                yield execution
                if execution.status.is_terminal:
                    return
                await changes.next()

    async def cancel(self, run_id: str, by: str = "the user", *, force: bool = False) -> None:
        """End the run as Cancelled; a function is told and may clean up first, unless `force`. Raises
        NotFound, and InvalidState when it is over."""
        await self._request(run_id, RunCancelled(self._clock.now(), by, force))

    async def pause(self, run_id: str, by: str = "the user") -> None:
        """Hand out nothing more; what runs may finish; deadlines stand still. Idempotent."""
        await self._request(run_id, RunPaused(self._clock.now(), by))

    async def unpause(self, run_id: str) -> None:
        """Go on. Deadlines move by the length of the pause. Idempotent."""
        await self._request(run_id, RunUnpaused(self._clock.now()))

    async def resume(
        self, run_id: str, task_run_id: str, payload: Mapping[str, Any] | None = None
    ) -> None:
        """Run a suspended task again, with `payload` among its inputs. Raises NotFound for an unknown
        task run, InvalidState for another run's, and `not-suspended` for a second resume."""
        number = task_number(run_id, task_run_id)
        values = [NamedValue(name, "", value) for name, value in (payload or {}).items()]
        encoded = self._sizes.resumed(encode_values(values), task_run_id)
        event = TaskResumed(number, encoded, self._clock.now())
        await self._request(run_id, event)

    async def delete(self, run_id: str) -> None:
        """Forget a run that is over, with its artifacts. Raises NotFound, or InvalidState."""
        rows = (await self._store.load([run_id]))[0]
        if rows is None:
            raise _no_run(run_id)
        if not rows.run.phase.is_terminal:
            raise InvalidState(
                Problem(
                    "run-active",
                    f"run {run_id} is {rows.run.phase}",
                    fix="cancel it first, or wait until it is over",
                )
            )
        tell = partial(self._faults.report, "delete a run", run_id=run_id)
        await drop_artifacts(self._store, rows, self._artifacts, tell)
        await self._store.delete(run_id)
        self._runs.forget(run_id)  # not before: a delete that fails leaves a run with hooks to tell

    # What a broker calls

    def on_task_started(self, task_run_id: str, fence: Fence, worker_id: str = "") -> None:
        """See `ports.TaskEvents`."""
        self._runs.on_task_started(task_run_id, fence, worker_id)

    def on_task_heartbeat(self, task_run_id: str, fence: Fence, details: bytes | None) -> None:
        """See `ports.TaskEvents`."""
        self._runs.on_task_heartbeat(task_run_id, fence, details)

    def on_task_completed(self, result: TaskResult) -> None:
        """See `ports.TaskEvents`."""
        self._runs.on_task_completed(result)

    # Inside

    async def _begin(
        self,
        prepared: Prepared,
        run_id: str,
        arguments: bytes | None,
        labels: Mapping[str, str] | None,
        cron_id: str = "",
        fire_at: Instant | None = None,
        tier: str = "",
        parent: str = "",
        above: RunRow | None = None,
    ) -> None:
        metadata = prepared.document.metadata
        now = self._clock.now()
        row = RunRow(
            run_id=run_id,
            name=metadata.name,
            namespace=metadata.namespace,
            document=prepared.digest,
            arguments=arguments,
            variables=self._sizes.variables(self._variables()),
            labels={**metadata.labels, **labels} if labels else metadata.labels or None,
            cron_id=cron_id,
            fire_at=fire_at,
            parent=parent,
            created_at=now,
            tier=tier or self._tier,
            warnings=prepared.warnings,
            slots=covering(above),
        )
        await self._runs.begin(RunSubmitted(row, now), prepared.plan, prepared.stored)

    def _variables(self) -> bytes | None:
        found: dict[str, Any] = {}
        for source in self._vars:
            for key, value in source.variables().items():
                found[f"{source.namespace}.{key}"] = value
        return encode_json(found, "a variable source's value") if found else None

    async def _submit_fire(
        self, document: Workflow, *, run_id: str, cron_id: str, fire_at: Instant
    ) -> str:
        prepared = await self._documents.prepare(document)
        if await self._store.run(run_id) is None:
            await self._begin(prepared, run_id, None, None, cron_id, fire_at)
        return run_id

    async def _with_reasons(self, late: WaitTimeout, run_id: str) -> WaitTimeout:
        reasons = (await self.get(run_id)).waiting_for[:3]
        if not reasons:
            return late
        problem = late.problems[0]
        what = f"{problem.what}. It waits: {'; '.join(reasons)}"
        return WaitTimeout(msgspec.structs.replace(problem, what=what))

    async def _request(self, run_id: str, event: Any) -> None:
        self._must_run("this call")
        await self._runs.request(run_id, event)

    def _run_ended(self, run: RunRow) -> None:
        if run.cron_id and self._crons is not None:
            self._crons.run_ended(run.cron_id)
        if run.parent:
            self._runs.children.ended(run)

    def _known(self) -> Known:
        return Known(
            executors=dict(self._schemas) if self._schemas else None,
            namespaces=frozenset(source.namespace for source in self._vars),
            artifact_types=frozenset(self._artifacts) if self._artifacts else None,
            has_secrets=self._secrets is not None,
            has_cron=self._scheduler is not None,
            has_timeouts=self._timeouts is not None,
        )

    async def _served(self) -> set[str] | None:
        """Executor types somebody announced, or None when nobody keeps count."""
        served = set(self._schemas)
        if self._workers is not None:
            for worker in await self._workers.list():
                served.update(worker.executor_types)
        elif not served:
            return None
        return served


def _no_run(run_id: str) -> NotFound:
    return NotFound(
        Problem("run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id")
    )


def _micros(timeout: timedelta | float | None) -> int | None:
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        return timeout // _MICROSECOND
    return int(timeout * 1_000_000)
