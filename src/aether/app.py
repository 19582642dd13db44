"""Aether with every port set to its default: the only file that picks adapters.

`Aether("memory:")` is `Engine(...)` wired by hand, with an executor registry and an in-process worker
beside it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from . import engine, worker
from .adapters.artifacts import HttpArtifacts, LocalArtifacts
from .adapters.broker import LocalBroker
from .adapters.chance import SystemChance
from .adapters.cipher import AesGcm
from .adapters.clock import SystemClock
from .adapters.cron import CronsimScheduler
from .adapters.errors import LogSink
from .adapters.evaluator import SimpleEvaluator
from .adapters.executor import (
    AwaitExecutor,
    EchoExecutor,
    Executors,
    FunctionExecutor,
    HttpExecutor,
    ShellExecutor,
    ThreadPool,
)
from .adapters.ids import UuidV7Ids
from .adapters.secrets import EnvSecrets
from .adapters.store import MemoryStore, PostgresStore, SqliteStore, sqlite_path
from .adapters.timeouts import HeapTimeoutWatcher
from .adapters.variables import SystemVars
from .adapters.workers import MemoryWorkers
from .document import WorkflowTemplate
from .engine import Submittable
from .errors import InvalidState, Problem, Refused
from .expr import CelEvaluator, Evaluator
from .ports import (
    ArtifactRepository,
    Clock,
    CronExecution,
    CronScheduler,
    Difference,
    ErrorSink,
    Execution,
    Executor,
    FireAnswer,
    IdGenerator,
    LogEntry,
    Notifier,
    Page,
    RunQuery,
    SecretProvider,
    Step,
    Store,
    TaskBroker,
    VarsSource,
)
from .record import ACTION_LOG

F = TypeVar("F", bound=Callable[..., Any])

_WORKER = "local"
LEASE = timedelta(seconds=10)
_SHIPPED = (EchoExecutor, HttpExecutor, ShellExecutor, AwaitExecutor)


class Engine(engine.Engine):
    """An engine on the machine's own clock, unless another one is given."""

    def __init__(self, *, clock: Clock | None = None, **ports: Any) -> None:
        ports.setdefault("chance", SystemChance())
        super().__init__(clock=clock or SystemClock(), **ports)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


class Worker(worker.Worker):
    """A worker for a broker of your own: `Worker(broker, [MyExecutor()])`, on the machine's own clock."""

    def __init__(
        self,
        broker: TaskBroker,
        executors: Iterable[Executor],
        *,
        worker_id: str = "local",
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        registry = Executors()
        for executor in executors:
            registry.register(executor)
        super().__init__(
            broker, registry, worker_id=worker_id, clock=clock or SystemClock(), **options
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


class Aether:
    """Everything in one process: `async with Aether("memory:") as app`.

    `url` says where state is kept. Whatever is not given takes its default: the CEL evaluator, log
    lines for faults, secrets from the environment, artifacts under `data/artifacts`, crons by the
    clock, and one worker that serves `echo`, `http`, `shell`, `await` and what `executor` registers.
    `audit_key` signs the head of each run's log, for `aether audit verify --key`;
    On PostgreSQL any number of processes may share the work: `node` names this one, and when it has
    not been heard of for `lease` the others take up its runs.
    `retention` deletes runs some time after their end. Values of more than `blob_threshold` bytes are
    kept once, beside the rows; those of more than `payload_limit` are refused. `encryption`,
    `secret-name/key-id`, seals all values at rest with a key from `secrets`.
    """

    def __init__(
        self,
        url: str = "memory:",
        *,
        store: Store | None = None,
        broker: TaskBroker | None = None,
        id_generator: IdGenerator | None = None,
        evaluator: Evaluator | str = "cel",
        notifier: Notifier | None = None,
        cron_scheduler: CronScheduler | None = None,
        secrets: SecretProvider | None = None,
        artifacts: Sequence[ArtifactRepository] | None = None,
        variables: Sequence[VarsSource] = (),
        error_sink: ErrorSink | None = None,
        clock: Clock | None = None,
        history: bool = False,
        slots: int = 64,
        notify: str = "declared",
        audit_key: bytes | None = None,
        retention: engine.Retention | None = None,
        tier: str = ACTION_LOG,
        lease: timedelta = LEASE,
        node: str = "",
        blob_threshold: int = engine.THRESHOLD,
        payload_limit: int = engine.LIMIT,
        encryption: str = "",
    ) -> None:
        self._clock = clock or SystemClock()
        errors = error_sink or LogSink()
        secrets = secrets or EnvSecrets()
        keyring = keyring_of(encryption, secrets)
        if keyring is not None:
            secrets = engine.Reserved(secrets, keyring)
        self._packers = ThreadPool(2, "aether-payloads")
        self._store = engine.with_payloads(
            store or _store_for(url, history),
            threshold=blob_threshold,
            keyring=keyring,
            offload=self._packers,
            clock=self._clock,
            errors=errors,
        )
        self._broker = broker or LocalBroker()
        self._executors = Executors()
        self._pool = ThreadPool()
        self._ids = id_generator or UuidV7Ids()
        repositories = _repositories() if artifacts is None else artifacts
        registry = MemoryWorkers(self._clock)
        for shipped in _SHIPPED:
            self._executors.register(shipped())
        self._engine = Engine(
            clock=self._clock,
            store=self._store,
            broker=self._broker,
            id_generator=self._ids,
            evaluator=_evaluator_for(evaluator),
            notifier=notifier,
            timeout_watcher=HeapTimeoutWatcher(self._clock, errors),
            cron_scheduler=cron_scheduler or CronsimScheduler(self._clock, errors),
            secret_provider=secrets,
            artifact_repositories=repositories,
            vars_sources=(SystemVars(), *variables),
            worker_registry=registry,
            error_sink=errors,
            notify=notify,
            audit_key=audit_key,
            retention=retention,
            volatile=MemoryStore(),
            tier=tier,
            lease=lease,
            node=node or f"{platform.node()}:{os.getpid()}",
            payload_limit=payload_limit,
        )
        self._worker = worker.Worker(
            self._broker,
            self._executors,
            worker_id=_WORKER,
            clock=self._clock,
            slots=slots,
            artifacts={repository.type: repository for repository in repositories},
            errors=errors,
            registry=registry,
            offload=self._pool,
        )
        self._opened = False

    @property
    def engine(self) -> engine.Engine:
        """The engine itself, for calls that have no shortcut here."""
        return self._engine

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the store, take up unfinished runs, and begin to work. A start that fails stops what it
        began."""
        for executor_type in self._executors.types():
            await self._announce(executor_type)
        await self._engine.start()
        self._opened = True
        try:
            # A process that was killed could not say that its executors are gone.
            if not self._store.shared:  # else other nodes may serve them still
                await self._engine.unregister_schemas(_WORKER)
            for executor_type in self._executors.types():
                await self._announce(executor_type)
            await self._worker.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Let what runs end within `grace`, then stop. Unfinished runs stay in the store. Idempotent."""
        if not self._opened:
            return
        self._opened = False
        async with AsyncExitStack() as stack:
            stack.callback(self._pool.close)
            stack.callback(self._packers.close)
            stack.push_async_callback(self._store.close)
            stack.push_async_callback(self._engine.stop)
            if not self._store.shared:
                stack.push_async_callback(self._engine.unregister_schemas, _WORKER)
            await self._worker.stop(grace)

    # Executors

    def executor(self, executor_type: str) -> Callable[[F], F]:
        """Register a function as an executor: `@app.executor("resize")`, or called with the function.

        It is called with the task's inputs as keywords; a plain function runs in a thread.
        """

        def register(function: F) -> F:
            self.register(FunctionExecutor(executor_type, function, pool=self._pool))
            return function

        return register

    def register(self, executor: Executor) -> None:
        """Serve one more executor type. Its schema is checked at submit and at completion."""
        if self._opened:
            raise InvalidState(
                Problem(
                    "already-started",
                    f"executor '{executor.schema.type}' comes after the start",
                    fix="register executors before `async with` enters",
                )
            )
        self._executors.register(executor)

    async def _announce(self, executor_type: str) -> None:
        schema = self._executors.schema(executor_type)
        if schema is not None:
            await self._engine.register_schema(schema, _WORKER)

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
        """Begin a run of a document, and return its id."""
        return await self._engine.submit(
            document, arguments, run_id=run_id, labels=labels, lenient=lenient, tier=tier
        )

    async def run(
        self,
        document: Submittable,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: timedelta | float | None = None,
    ) -> Execution:
        """Submit and wait."""
        return await self.wait(await self.submit(document, arguments), timeout)

    async def wait(self, run_id: str, timeout: timedelta | float | None = None) -> Execution:
        return await self._engine.wait(run_id, timeout)

    async def get(self, run_id: str) -> Execution:
        return await self._engine.get(run_id)

    def watch(self, run_id: str) -> AsyncIterator[Execution]:
        return self._engine.watch(run_id)

    async def cancel(self, run_id: str, by: str = "the user") -> None:
        await self._engine.cancel(run_id, by)

    async def pause(self, run_id: str, by: str = "the user") -> None:
        await self._engine.pause(run_id, by)

    async def unpause(self, run_id: str) -> None:
        await self._engine.unpause(run_id)

    async def resume(
        self, run_id: str, task_run_id: str, payload: Mapping[str, Any] | None = None
    ) -> None:
        await self._engine.resume(run_id, task_run_id, payload)

    async def list(self, query: RunQuery | None = None) -> Page:
        return await self._engine.list(query)

    async def history(self, run_id: str, after_seq: int = 0) -> Sequence[LogEntry]:
        return await self._engine.history(run_id, after_seq)

    async def at(self, run_id: str, seq: int) -> Execution:
        return await self._engine.at(run_id, seq)

    async def log(self, run_id: str, after: int = 0, limit: int = 1000) -> Sequence[Step]:
        return await self._engine.log(run_id, after, limit)

    async def diff(
        self, a: str, b: str, at_a: int | None = None, at_b: int | None = None
    ) -> Difference:
        return await self._engine.diff(a, b, at_a, at_b)

    async def delete(self, run_id: str) -> None:
        await self._engine.delete(run_id)

    # Crons and templates

    async def submit_cron(self, document: Submittable, *, lenient: bool = False) -> str:
        return await self._engine.submit_cron(document, lenient=lenient)

    async def get_cron(self, cron_id: str) -> CronExecution:
        return await self._engine.get_cron(cron_id)

    async def list_crons(self) -> Sequence[CronExecution]:
        return await self._engine.list_crons()

    async def update_cron(
        self, cron_id: str, document: Submittable, *, lenient: bool = False
    ) -> None:
        await self._engine.update_cron(cron_id, document, lenient=lenient)

    async def delete_cron(self, cron_id: str) -> None:
        await self._engine.delete_cron(cron_id)

    async def suspend_cron(self, cron_id: str) -> None:
        await self._engine.suspend_cron(cron_id)

    async def resume_cron(self, cron_id: str) -> None:
        await self._engine.resume_cron(cron_id)

    async def backfill_cron(
        self, cron_id: str, start: datetime, end: datetime
    ) -> Sequence[FireAnswer]:
        return await self._engine.backfill_cron(cron_id, start, end)

    async def trigger_cron(self, cron_id: str, at: datetime | None = None) -> FireAnswer:
        return await self._engine.trigger_cron(cron_id, at)

    async def put_template(self, document: Submittable, *, lenient: bool = False) -> str:
        return await self._engine.put_template(document, lenient=lenient)

    async def get_template(self, name: str, version: str = "") -> WorkflowTemplate:
        return await self._engine.get_template(name, version)

    async def list_templates(self, name: str = "") -> Sequence[str]:
        return await self._engine.list_templates(name)

    async def delete_template(self, name: str, version: str = "") -> int:
        return await self._engine.delete_template(name, version)


def keyring_of(reference: str, secrets: SecretProvider) -> engine.Keyring | None:
    """The keys that `encryption` names; None for no encryption."""
    if not reference:
        return None
    return engine.Keyring(reference, secrets, AesGcm(), SystemChance())


def _store_for(url: str, history: bool) -> Store:
    if url in ("memory:", "memory://"):
        return MemoryStore(history=history)
    if url.startswith("sqlite:"):
        return SqliteStore(sqlite_path(url))
    if url.startswith(("postgresql:", "postgres:")):
        return PostgresStore(url)
    raise Refused(
        Problem(
            "unknown-store",
            f"'{url}' names no store",
            fix="use 'memory:', 'sqlite:///data/aether.db' or 'postgresql://user@host/database',"
            " or pass a store of your own as store=…",
        )
    )


def _evaluator_for(evaluator: Evaluator | str) -> Evaluator:
    if not isinstance(evaluator, str):
        return evaluator
    if evaluator == "cel":
        return CelEvaluator()
    if evaluator == "simple":
        return SimpleEvaluator()
    raise Refused(
        Problem(
            "unknown-evaluator", f"there is no evaluator '{evaluator}'", fix="use 'cel' or 'simple'"
        )
    )


def _repositories() -> Sequence[ArtifactRepository]:
    return (LocalArtifacts(Path("data/artifacts")), HttpArtifacts())
