"""The parts of an app: each port's default, and what a setting stands for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from .. import engine, worker
from ..adapters.artifacts import HttpArtifacts, LocalArtifacts
from ..adapters.chance import SystemChance
from ..adapters.cipher import AesGcm
from ..adapters.clock import SystemClock
from ..adapters.evaluator import SimpleEvaluator
from ..adapters.executor import Executors
from ..adapters.store import MemoryStore, PostgresStore, SqliteStore, sqlite_path
from ..errors import Problem, Refused
from ..expr import CelEvaluator, Evaluator
from ..ports import (
    ArtifactRepository,
    Clock,
    Executor,
    SecretProvider,
    Store,
    TaskBroker,
)

DEFAULT_URL = "sqlite:///data/aether.db"


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


def keyring_of(reference: str, secrets: SecretProvider) -> engine.Keyring | None:
    """The keys that `encryption` names; None for no encryption."""
    if not reference:
        return None
    return engine.Keyring(reference, secrets, AesGcm(), SystemChance())


def store_for(url: str, history: bool) -> Store:
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


def evaluator_for(evaluator: Evaluator | str) -> Evaluator:
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


def default_repositories() -> Sequence[ArtifactRepository]:
    return (LocalArtifacts(Path("data/artifacts")), HttpArtifacts())


def url_or_default(url: str | None) -> str:
    """Where state is kept: what the program says, else AETHER_URL, else a file below this directory."""
    return url or os.environ.get("AETHER_URL", "") or DEFAULT_URL
