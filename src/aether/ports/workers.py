"""WorkerRegistry: who works, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ..record import Instant
from .executor import Schema


class WorkerInfo(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """No `executor_types` means: any type."""

    worker_id: str
    executor_types: tuple[str, ...] = ()
    schemas: tuple[Schema, ...] = ()
    slots: int = 1
    tags: Mapping[str, str] = {}
    registered_at: Instant = 0
    heartbeat_at: Instant = 0


class WorkerRegistry(Protocol):
    """Workers by id. `register` adds or replaces, and stamps both instants. `heartbeat` renews one and
    raises NotFound `worker-not-found` when the worker is unknown or has expired: it must register again.
    A worker whose last heartbeat is older than the registry's time to live is gone: `get` returns
    None and no list shows it; a clock that went backwards makes nobody gone. `unregister` of an unknown
    worker does nothing. `list` shows those that serve a type, all without one, ordered by registration;
    registering again counts as a new one. Everything handed in or out is a copy.
    """

    async def register(self, info: WorkerInfo) -> None: ...

    async def heartbeat(self, worker_id: str) -> None: ...

    async def unregister(self, worker_id: str) -> None: ...

    async def get(self, worker_id: str) -> WorkerInfo | None: ...

    async def list(self, executor_type: str = "") -> Sequence[WorkerInfo]: ...
