"""A process that serves until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from ..sdk import Served


class _Servant(Protocol):
    async def serve(self, functions: Iterable[Served] = ()) -> None: ...

    async def stop(self) -> None: ...


async def serve_until_told(app: _Servant, functions: Iterable[Served]) -> None:
    """Serves, and stops on SIGINT or SIGTERM: what runs gets its grace, the rest waits in the store."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError):  # not every platform, nor every thread
            loop.add_signal_handler(number, told.set)
    await app.serve(functions)
    try:
        await told.wait()
    finally:
        await app.stop()
