"""ThreadPool: where plain functions run, because they may block."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from ..errors import Problem, Refused

T = TypeVar("T")


class _Job:
    __slots__ = ("future", "loop", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


class ThreadPool:
    """An Offload on at most `size` threads, which are made when needed and kept.

    They are daemon threads: work that never ends can hold up neither `close` nor the end of the
    process, which the standard library's pool would wait for. Work may come from several loops.
    """

    def __init__(self, size: int = 32, name: str = "aether") -> None:
        self._size = max(1, size)
        self._name = name
        self._jobs: deque[_Job] = deque()
        self._wanted = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False

    async def __call__(self, work: Callable[[], T]) -> T:
        context = copy_context()
        job = _Job(lambda: context.run(work))
        with self._wanted:
            if self._closed:
                raise Refused(
                    Problem(
                        "pool-closed", "the thread pool is closed", fix="start a new application"
                    )
                )
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._wanted.notify()
            elif self._threads < self._size:
                self._threads += 1
                threading.Thread(
                    target=self._serve, name=f"{self._name}-{self._threads}", daemon=True
                ).start()
        result: T = await job.future
        return result

    def close(self) -> None:
        """Refuses new work; what has not begun is cancelled. Waits for nothing."""
        with self._wanted:
            self._closed = True
            jobs = list(self._jobs)
            self._jobs.clear()
            self._wanted.notify_all()
        for job in jobs:
            _tell(job, job.future.cancel)

    def _serve(self) -> None:
        while True:
            with self._wanted:
                self._idle += 1
                while not self._jobs and not self._closed:
                    self._wanted.wait()
                self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    return
                job = self._jobs.popleft()
            if not job.future.cancelled():
                _run(job)
            del job  # an idle thread keeps no arguments and results alive


def _run(job: _Job) -> None:
    try:
        result = job.work()
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the job
        failure = RuntimeError("StopIteration was raised") if _is_stop(error) else error
        _tell(job, lambda: job.future.set_exception(failure))
    else:
        _tell(job, lambda: job.future.set_result(result))


def _tell(job: _Job, deliver: Callable[[], object]) -> None:
    def unless_done() -> None:
        if not job.future.done():
            deliver()

    try:
        job.loop.call_soon_threadsafe(unless_done)
    except RuntimeError:
        return  # the loop is closed, so nobody waits any more


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, StopIteration)  # a future cannot carry it
