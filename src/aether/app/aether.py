"""Aether: an engine with its worker, and the functions and documents that it runs."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Self, TypeVar

from .. import engine, worker
from ..adapters.broker import LocalBroker
from ..adapters.clock import SystemClock
from ..adapters.cron import CronsimScheduler
from ..adapters.errors import LogSink
from ..adapters.executor import (
    AwaitExecutor,
    EchoExecutor,
    Executors,
    FunctionExecutor,
    HttpExecutor,
    ShellExecutor,
    ThreadPool,
)
from ..adapters.ids import UuidV7Ids
from ..adapters.loop_thread import LoopThread
from ..adapters.secrets import EnvSecrets
from ..adapters.store import MemoryStore
from ..adapters.timeouts import HeapTimeoutWatcher
from ..adapters.variables import SystemVars
from ..adapters.workers import MemoryWorkers
from ..errors import InvalidState, Problem
from ..expr import Evaluator
from ..ports import (
    ArtifactRepository,
    Clock,
    CronScheduler,
    ErrorSink,
    Executor,
    FunctionRuns,
    IdGenerator,
    Notifier,
    SecretProvider,
    Store,
    TaskBroker,
    VarsSource,
)
from ..record import ACTION_LOG
from ..sdk import Activity, Blocking, Functions, Served, Workflow
from .code import CodeFirst
from .documents import Documents
from .forever import serve_until_told
from .parts import (
    Engine,
    default_repositories,
    evaluator_for,
    keyring_of,
    store_for,
    url_or_default,
)

F = TypeVar("F", bound=Callable[..., Any])

_WORKER = "local"
LEASE = timedelta(seconds=10)
_SHIPPED = (EchoExecutor, HttpExecutor, ShellExecutor, AwaitExecutor)


class Aether(engine.ForkShortcuts, Documents, Functions):
    """Everything in one process: `async with Aether("memory:") as app`.

    `url` says where state is kept: `memory:`, `sqlite:///data/aether.db` (the default, unless the variable
    AETHER_URL says otherwise) or `postgresql://…`. Whatever is not given takes its default: the CEL
    evaluator, log lines for faults, secrets from the environment, artifacts under `data/artifacts`, crons
    by the clock, and one worker that serves `echo`, `http`, `shell`, `await`, what `executor` registers,
    and the workflows and activities of this app.

    `finish` lets `async with` wait at its end for unfinished runs of this app's workflows that were found
    at its start, until each is over or waits for something that is not here. On by default where state
    outlives the process.
    On PostgreSQL any number of processes may share the work: `node` names this one, and when it has
    not been heard of for `lease` the others take up its runs.
    `audit_key` signs the head of each run's log, for `aether audit verify --key`. `retention` deletes runs
    some time after their end. Values of more than `blob_threshold` bytes are kept once, beside the rows;
    those of more than `payload_limit` are refused. `encryption`, `secret-name/key-id`, seals all values at
    rest with a key from `secrets`.
    """

    def __init__(
        self,
        url: str | None = None,
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
        finish: bool | None = None,
    ) -> None:
        Functions.__init__(self)
        url = url_or_default(url)
        self._clock = clock or SystemClock()
        errors = error_sink or LogSink()
        secrets = secrets or EnvSecrets()
        keyring = keyring_of(encryption, secrets)
        if keyring is not None:
            secrets = engine.Reserved(secrets, keyring)
        self._packers = ThreadPool(2, "aether-payloads")
        self._store = engine.with_payloads(
            store or store_for(url, history),
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
        repositories = default_repositories() if artifacts is None else artifacts
        registry = MemoryWorkers(self._clock)
        for shipped in _SHIPPED:
            self._executors.register(shipped())
        self._engine = Engine(
            clock=self._clock,
            store=self._store,
            broker=self._broker,
            id_generator=self._ids,
            evaluator=evaluator_for(evaluator),
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
        self._code = CodeFirst(self._engine, self._executors, self._pool, self._clock, errors)
        self._finish = not url.startswith("memory:") if finish is None else finish
        self._opened = False
        self._opening: asyncio.Lock | None = None
        self._sync: Blocking | None = None

    @property
    def engine(self) -> engine.Engine:
        """The engine itself, for calls that have no shortcut here."""
        return self._engine

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        try:
            if kind is None and self._finish:
                await self._code.finish_found()
        finally:
            await self.stop()

    async def start(self) -> None:
        """Open the store, take up unfinished runs, and begin to work. A start that fails stops what it
        began."""
        self._code.serve(self._workflows.values(), self._activities.values())
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
            if self._finish:
                await self._code.find_unfinished()
            await self._worker.start()
            await self._code.schedule(self._workflows.values())
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
            stack.callback(self._code.close)
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

    # Functions

    @property
    def sync(self) -> Blocking:
        """The same app for code that blocks: scripts, Flask, Django. See `sdk.Blocking`."""
        if self._sync is None:
            self._sync = Blocking(self, LoopThread(), self.stop)
        return self._sync

    def run(self, functions: Iterable[Served] = ()) -> None:
        """Serve until the process is told to stop (SIGINT, SIGTERM): the last line of a worker's script."""
        asyncio.run(serve_until_told(self, functions))

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """For ASGI frameworks: `FastAPI(lifespan=app.lifespan)`."""
        async with self:
            yield

    async def complete(self, token: str, result: Any = None) -> None:
        """Bring the result of an activity that called `activity.complete_later()`; `token` is from its
        `activity.info()`. A second one, and one that comes too late, changes nothing."""
        await self._code.complete(token, result)

    async def fail(self, token: str, error: Exception) -> None:
        """Bring the failure of such an activity; its retries apply."""
        await self._code.fail(token, error)

    def _do_runs(self) -> FunctionRuns:
        return self._code

    async def _do_start(self) -> None:
        if self._opened:
            return
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if not self._opened:
                await self.start()

    async def _do_serve(
        self, workflows: Iterable[Workflow[Any, Any]], activities: Iterable[Activity[..., Any]]
    ) -> None:
        if not self._opened:
            return  # the start serves them
        fresh = self._code.serve(workflows, activities)
        for executor_type in fresh:
            await self._announce(executor_type)
        if fresh:
            self._worker.refresh()
            await self._code.schedule(workflows)
