"""LoopThread: an event loop in a thread of its own, for callers that are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..errors import InvalidState, Problem

T = TypeVar("T")


class LoopThread:
    """Begun by the first `call`. The thread is a daemon, so a program that forgets `close` still ends."""

    def __init__(self, name: str = "aether: loop") -> None:
        self._name = name
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Blocks until the coroutine is done. A KeyboardInterrupt meanwhile cancels it."""
        loop = self._running()
        if threading.current_thread() is self._thread:
            raise InvalidState(
                Problem(
                    "blocking-call",
                    "a blocking call was made on the loop that would have to carry it out",
                    fix="await the async call instead, or make the blocking one in a plain function",
                )
            )
        future = asyncio.run_coroutine_threadsafe(_made(make), loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what still runs there, and end the thread. Idempotent; a later `call` begins anew."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop


async def _made(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await make()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
