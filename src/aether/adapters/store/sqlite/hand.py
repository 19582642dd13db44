"""A thread that does blocking work for one event loop, one piece after the other.

In: functions. Out: futures of the loop. Never: two pieces at once, or a piece after `close`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from ....errors import StoreUnavailable

T = TypeVar("T")


class Hand:
    """The standard library's pool costs three times as much for a piece: it locks, counts and wakes
    more than one thread needs."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = (
            SimpleQueue()
        )
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def give(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._work.put((work, future))
        return future

    def close(self) -> None:
        """What was given before is still done. Waits for it: call it when little is left."""
        self._closed = True
        self._work.put(None)
        self._thread.join()

    def _serve(self) -> None:
        tell = self._loop.call_soon_threadsafe
        while (item := self._work.get()) is not None:
            work, future = item
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the future
                tell(_fail, future, error)
            else:
                tell(_finish, future, result)
            del item, work, future  # an idle thread keeps nothing alive


def _finish(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
