"""Workers of one process's knowledge.

In: registrations and heartbeats. Out: who is alive. Never: a timer; who is gone is found when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from ...errors import NotFound, Problem
from ...ports import Clock, WorkerInfo


class MemoryWorkers:
    """Forgets a worker that was silent for longer than `ttl`."""

    def __init__(self, clock: Clock, ttl: timedelta = timedelta(seconds=30)) -> None:
        if ttl <= timedelta(0):
            raise ValueError(f"ttl is {ttl}: a worker needs some time between two heartbeats")
        self._clock = clock
        self._ttl = ttl // timedelta(microseconds=1)
        self._workers: dict[str, WorkerInfo] = {}

    async def register(self, info: WorkerInfo) -> None:
        self._forget_the_silent()
        now = self._clock.now()
        self._workers.pop(info.worker_id, None)
        self._workers[info.worker_id] = replace(
            info, tags=dict(info.tags), registered_at=now, heartbeat_at=now
        )

    async def heartbeat(self, worker_id: str) -> None:
        self._forget_the_silent()
        info = self._workers.get(worker_id)
        if info is None:
            raise NotFound(
                Problem(
                    "worker-not-found",
                    f"worker '{worker_id}' is unknown, or was silent for too long",
                    fix="register the worker again; heartbeats continue after that",
                )
            )
        self._workers[worker_id] = replace(info, heartbeat_at=self._clock.now())

    async def unregister(self, worker_id: str) -> None:
        self._workers.pop(worker_id, None)

    async def get(self, worker_id: str) -> WorkerInfo | None:
        self._forget_the_silent()
        info = self._workers.get(worker_id)
        return None if info is None else _copy(info)

    async def list(self, executor_type: str = "") -> Sequence[WorkerInfo]:
        self._forget_the_silent()
        return [
            _copy(info)
            for info in self._workers.values()
            if not executor_type or not info.executor_types or executor_type in info.executor_types
        ]

    def _forget_the_silent(self) -> None:
        oldest = self._clock.now() - self._ttl
        silent = [name for name, info in self._workers.items() if info.heartbeat_at < oldest]
        for name in silent:
            del self._workers[name]


def _copy(info: WorkerInfo) -> WorkerInfo:
    return replace(info, tags=dict(info.tags))
