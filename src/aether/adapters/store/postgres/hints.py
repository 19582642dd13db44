"""Words between the processes that share a server, over LISTEN and NOTIFY.

In: words. Out: the same words, at everybody who listens. Never: a wait, or more than one notification in a
few milliseconds: each one that commits waits its turn with all others of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ....errors import AetherError
from .connections import Connection, Connections
from .sql import statements

_PAUSE = 0.005  # seconds between two notifications
_AGAIN = 1.0  # until a lost connection is replaced
_MOST = 7_900  # bytes that one notification may hold
_MOST_WORDS = 10_000  # that wait to be told; what is beyond them is left to the sweep

Heard = Callable[[Sequence[str]], None]


class Hints:
    def __init__(self, connections: Connections, schema: str) -> None:
        self._connections = connections
        self._channel = f"aether_{schema}"
        self._words: dict[str, None] = {}
        self._heard: list[Heard] = []
        self._teller: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None

    # Telling

    def tell(self, words: Sequence[str]) -> None:
        if len(self._words) < _MOST_WORDS:
            self._words.update(dict.fromkeys(words))
        if self._words and self._teller is None:
            self._teller = asyncio.create_task(self._tell(), name="aether: tell")

    async def _tell(self) -> None:
        try:
            while self._words:
                words, self._words = list(self._words), {}
                for payload in _payloads(words):
                    sql = statements("cluster")["tell"]
                    await self._connections.ask(sql, self._channel, payload)
                await asyncio.sleep(_PAUSE)
        except AetherError:
            self._words.clear()  # only hints: whoever waits looks by itself
        finally:
            self._teller = None

    # Listening

    async def listen(self, heard: Heard) -> Callable[[], None]:
        self._heard.append(heard)
        if self._listener is None:
            ready = asyncio.Event()
            self._listener = asyncio.create_task(self._listen(ready), name="aether: listen")
            await ready.wait()

        def stop() -> None:
            if heard in self._heard:
                self._heard.remove(heard)
            if not self._heard and self._listener is not None:
                self._listener.cancel()
                self._listener = None

        return stop

    async def _listen(self, ready: asyncio.Event) -> None:
        """A connection of its own, replaced for as long as somebody listens."""
        while True:
            connection: Any = None
            try:
                connection = await self._connections.dedicated()
                ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                connection.add_termination_listener(lambda _, ended=ended: _finish(ended))
                await connection.add_listener(self._channel, self._hear)
                ready.set()
                await ended
            except (AetherError, OSError, TimeoutError):
                pass  # it is tried again, and until then the sweep finds what there is
            except asyncio.CancelledError:
                raise
            except Exception as exc:
                if not type(exc).__module__.startswith("asyncpg"):
                    raise
            finally:
                ready.set()
                if connection is not None and not connection.is_closed():
                    connection.terminate()
            await asyncio.sleep(_AGAIN)

    def _hear(self, _connection: Connection, _pid: int, _channel: str, payload: str) -> None:
        words = payload.split("\n")
        for heard in tuple(self._heard):
            heard(words)

    async def close(self) -> None:
        """What was told before is still sent, if the server answers."""
        self._heard.clear()
        for task in (self._listener, self._teller):
            if task is None:
                continue
            if task is self._listener:
                task.cancel()
            await asyncio.wait([task])
        self._listener = None


def _payloads(words: Sequence[str]) -> Iterator[str]:
    some: list[str] = []
    size = 0
    for word in words:
        length = len(word.encode()) + 1
        if some and size + length > _MOST:
            yield "\n".join(some)
            some, size = [], 0
        some.append(word)
        size += length
    if some:
        yield "\n".join(some)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
