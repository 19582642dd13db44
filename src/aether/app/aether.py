"""Aether: an engine with its worker, and the functions and documents that it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Self, TypeVar

from .. import engine
from ..adapters.executor import (
    AwaitExecutor,
    EchoExecutor,
    FunctionExecutor,
    HttpExecutor,
    ShellExecutor,
)
from ..adapters.loop_thread import LoopThread
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
from .documents import Documents
from .forever import serve_until_told
from .guard import Guard
from .life import Life, Settings, Threads
from .parts import url_or_default

F = TypeVar("F", bound=Callable[..., Any])

LEASE = timedelta(seconds=10)
GRACE = timedelta(seconds=5)
SHORT = timedelta(seconds=1)
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
    not been heard of for `lease` the others take up its runs. What has limits runs there only where `sole`
    says that no other process uses the database: several would each count alone.
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
        sole: bool = False,
        blob_threshold: int = engine.THRESHOLD,
        payload_limit: int = engine.LIMIT,
        encryption: str = "",
        finish: bool | None = None,
    ) -> None:
        Functions.__init__(self)
        url = url_or_default(url)
        self._settings = Settings(
            url=url,
            store=store,
            broker=broker,
            id_generator=id_generator,
            evaluator=evaluator,
            notifier=notifier,
            cron_scheduler=cron_scheduler,
            secrets=secrets,
            artifacts=artifacts,
            variables=variables,
            error_sink=error_sink,
            clock=clock,
            history=history,
            slots=slots,
            notify=notify,
            audit_key=audit_key,
            retention=retention,
            tier=tier,
            lease=lease,
            node=node,
            sole=sole,
            blob_threshold=blob_threshold,
            payload_limit=payload_limit,
            encryption=encryption,
        )
        self._pool = Threads()
        self._registered: list[Executor] = [shipped() for shipped in _SHIPPED]
        self._life = Life(self._settings, self._pool, self._registered)
        self._finish = not url.startswith("memory:") if finish is None else finish
        self._guard = Guard()
        self._sync: Blocking | None = None

    @property
    def _engine(self) -> engine.Engine:
        return self._life.engine

    @property
    def engine(self) -> engine.Engine:
        """The engine itself, for calls that have no shortcut here. Another one after each start."""
        return self._life.engine

    @property
    def _store(self) -> Store:
        return self._life.store

    async def __aenter__(self) -> Self:
        await self.start()
        self._guard.leave()  # whoever enters will also go
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        await (self._end() if kind is None else self.stop())

    async def _end(self) -> None:
        try:
            if self._finish and self._life.opened:
                await self._life.code.finish_found()
        finally:
            await self.stop()

    async def start(self) -> None:
        """Open the store, take up unfinished runs, and begin to work. A start that fails stops what it
        began. Does nothing when the app is up."""
        async with self._guard.alone() as lost:
            if self._life.opened and not lost:
                return
            if self._life.over or lost:
                self._life = Life(self._settings, self._pool, self._registered)
            try:
                await self._life.open(
                    self._workflows.values(), self._activities.values(), finish=self._finish
                )
            except BaseException:
                self._guard.forget()
                raise

    async def stop(self, grace: timedelta = GRACE) -> None:
        """Let what runs end within `grace`, then stop. Unfinished runs stay in the store. Idempotent, and
        the app may be started again."""
        if not self._life.opened:
            return
        self._guard.leave()
        try:
            await self._life.close(grace)
        finally:
            self._pool.close()
            self._guard.forget()

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
        if self._life.opened:
            raise InvalidState(
                Problem(
                    "already-started",
                    f"executor '{executor.schema.type}' comes after the start",
                    fix="register executors before `async with` enters",
                )
            )
        self._life.executors.register(executor)
        self._registered.append(executor)

    # Functions

    @property
    def sync(self) -> Blocking:
        """The same app for code that blocks: scripts, Flask, Django. See `sdk.Blocking`."""
        if self._sync is None:
            self._sync = Blocking(self, LoopThread(), self._end)
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
        await self._life.code.complete(token, result)

    async def fail(self, token: str, error: Exception) -> None:
        """Bring the failure of such an activity; its retries apply."""
        await self._life.code.fail(token, error)

    def _do_runs(self) -> FunctionRuns:
        return self._life.code

    async def _do_start(self) -> None:
        if not self._life.opened or not self._guard.here:
            await self.start()
            self._guard.stand(lambda: self.stop(SHORT))  # nobody has promised to stop it
        if self._late:  # decorated after the start
            await self._do_serve(self._workflows.values(), self._activities.values())

    async def _do_serve(
        self, workflows: Iterable[Workflow[Any, Any]], activities: Iterable[Activity[..., Any]]
    ) -> None:
        if self._life.opened:  # else the start serves them
            self._late = False
            await self._life.serve(workflows, activities)
