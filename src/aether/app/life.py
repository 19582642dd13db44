"""One life of an app, from its start to its stop: engine, worker, and everything that belongs to them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from .. import engine, worker
from ..adapters.broker import LocalBroker
from ..adapters.clock import SystemClock
from ..adapters.cron import CronsimScheduler
from ..adapters.errors import LogSink
from ..adapters.executor import Executors, ThreadPool
from ..adapters.ids import UuidV7Ids
from ..adapters.secrets import EnvSecrets
from ..adapters.store import MemoryStore
from ..adapters.timeouts import HeapTimeoutWatcher
from ..adapters.variables import SystemVars
from ..adapters.workers import MemoryWorkers
from ..expr import Evaluator
from ..ports import (
    ArtifactRepository,
    Clock,
    CronScheduler,
    ErrorSink,
    Executor,
    IdGenerator,
    Notifier,
    SecretProvider,
    Store,
    TaskBroker,
    VarsSource,
)
from ..sdk import Activity, Workflow
from .code import CodeFirst
from .parts import Engine, default_repositories, evaluator_for, keyring_of, store_for

T = TypeVar("T")

_WORKER = "local"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an app was told; see `Aether`."""

    url: str
    store: Store | None
    broker: TaskBroker | None
    id_generator: IdGenerator | None
    evaluator: Evaluator | str
    notifier: Notifier | None
    cron_scheduler: CronScheduler | None
    secrets: SecretProvider | None
    artifacts: Sequence[ArtifactRepository] | None
    variables: Sequence[VarsSource]
    error_sink: ErrorSink | None
    clock: Clock | None
    history: bool
    slots: int
    notify: str
    audit_key: bytes | None
    retention: engine.Retention | None
    tier: str
    lease: timedelta
    node: str
    sole: bool
    blob_threshold: int
    payload_limit: int
    encryption: str


class Threads:
    """The threads of an app, for plain functions: others after each stop."""

    def __init__(self) -> None:
        self._pool = ThreadPool()

    async def __call__(self, work: Callable[[], T]) -> T:
        return await self._pool(work)

    def close(self) -> None:
        self._pool.close()
        self._pool = ThreadPool()


class Life:
    """An engine that was stopped does not start again, so an app that does gets another life. What the
    user gave it, a store or a broker, is then used again; everything else is new."""

    def __init__(self, given: Settings, pool: Threads, executors: Iterable[Executor]) -> None:
        clock = given.clock or SystemClock()
        errors = given.error_sink or LogSink()
        secrets = given.secrets or EnvSecrets()
        keyring = keyring_of(given.encryption, secrets)
        if keyring is not None:
            secrets = engine.Reserved(secrets, keyring)
        broker = given.broker or LocalBroker()
        repositories = default_repositories() if given.artifacts is None else given.artifacts
        registry = MemoryWorkers(clock)
        self.opened = self.over = False
        self.executors = Executors(executors)
        self._packers = ThreadPool(2, "aether-payloads")
        self.store = engine.with_payloads(
            given.store or store_for(given.url, given.history),
            threshold=given.blob_threshold,
            keyring=keyring,
            offload=self._packers,
            clock=clock,
            errors=errors,
        )
        self.engine = Engine(
            clock=clock,
            store=self.store,
            broker=broker,
            id_generator=given.id_generator or UuidV7Ids(),
            evaluator=evaluator_for(given.evaluator),
            notifier=given.notifier,
            timeout_watcher=HeapTimeoutWatcher(clock, errors),
            cron_scheduler=given.cron_scheduler or CronsimScheduler(clock, errors),
            secret_provider=secrets,
            artifact_repositories=repositories,
            vars_sources=(SystemVars(), *given.variables),
            worker_registry=registry,
            error_sink=errors,
            notify=given.notify,
            audit_key=given.audit_key,
            retention=given.retention,
            volatile=MemoryStore(),
            tier=given.tier,
            lease=given.lease,
            node=given.node or f"{platform.node()}:{os.getpid()}",
            payload_limit=given.payload_limit,
            sole=given.sole,
        )
        self.worker = worker.Worker(
            broker,
            self.executors,
            worker_id=_WORKER,
            clock=clock,
            slots=given.slots,
            artifacts={repository.type: repository for repository in repositories},
            errors=errors,
            registry=registry,
            offload=pool,
        )
        self.code = CodeFirst(self.engine, self.executors, pool, clock, errors)

    async def open(
        self,
        workflows: Iterable[Workflow[Any, Any]],
        activities: Iterable[Activity[..., Any]],
        *,
        finish: bool,
    ) -> None:
        """Open the store, take up unfinished runs, and begin to work. What fails stops what began."""
        workflows = list(workflows)
        self.code.serve(workflows, activities)
        for executor_type in self.executors.types():
            await self._announce(executor_type)
        await self.engine.start()
        self.opened = True
        try:
            # A process that was killed could not say that its executors are gone.
            if not self.store.shared:  # else other nodes may serve them still
                await self.engine.unregister_schemas(_WORKER)
            for executor_type in self.executors.types():
                await self._announce(executor_type)
            if finish:
                await self.code.find_unfinished()
            await self.worker.start()
            await self.code.schedule(workflows)
        except BaseException:
            await self.close(timedelta(seconds=5))
            raise

    async def serve(
        self, workflows: Iterable[Workflow[Any, Any]], activities: Iterable[Activity[..., Any]]
    ) -> None:
        """Serve these too, while it is open."""
        workflows = list(workflows)
        fresh = self.code.serve(workflows, activities)
        for executor_type in fresh:
            await self._announce(executor_type)
        if fresh:
            self.worker.refresh()
            await self.code.schedule(workflows)

    async def close(self, grace: timedelta) -> None:
        """Let what runs end within `grace`, then stop. Does nothing when it is not open."""
        if not self.opened:
            return
        self.opened, self.over = False, True
        async with AsyncExitStack() as stack:
            stack.callback(self.code.close)
            stack.callback(self._packers.close)
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.engine.stop)
            if not self.store.shared:
                stack.push_async_callback(self.engine.unregister_schemas, _WORKER)
            await self.worker.stop(grace)

    async def _announce(self, executor_type: str) -> None:
        schema = self.executors.schema(executor_type)
        if schema is not None:
            await self.engine.register_schema(schema, _WORKER)
