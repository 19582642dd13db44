"""Runs that are asked for at the same time are read by one statement.

In: ids of runs, from many callers. Out: to each caller its own rows. Never: a timer; what is asked for
while a statement is under way goes into the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ....errors import AetherError, Refused

_MOST = 24  # runs in one statement; the rest goes beside it, so that not all wait for each other

Groups = dict[str, list[Any]]
Asked = tuple[Sequence[str], "asyncio.Future[Groups]"]


class Loading:
    """`read` gives the raw rows of runs, by run id."""

    def __init__(self, read: Callable[[Sequence[str]], Awaitable[Groups]]) -> None:
        self._read = read
        self._asked: list[Asked] = []
        self._worker: asyncio.Task[None] | None = None

    async def load(self, run_ids: Sequence[str]) -> Groups:
        future: asyncio.Future[Groups] = asyncio.get_running_loop().create_future()
        self._asked.append((run_ids, future))
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._answer_all())
        return await future

    async def _answer_all(self) -> None:
        try:
            while self._asked:
                part = [self._asked.pop(0)]
                count = len(part[0][0])
                while self._asked and count + len(self._asked[0][0]) <= _MOST:
                    part.append(self._asked.pop(0))
                    count += len(part[-1][0])
                await self._answer([each for each in part if not each[1].done()])
        finally:
            self._worker = None
            for _, future in self._asked:  # only where this task was cancelled
                future.cancel()
            self._asked.clear()

    async def _answer(self, part: Sequence[Asked]) -> None:
        wanted = dict.fromkeys(run_id for run_ids, _ in part for run_id in run_ids)
        try:
            groups = await self._read(list(wanted))
        except Refused as exc:
            if len(part) > 1:  # one id that cannot be asked for must not fail the others
                for each in part:
                    await self._answer([each])
                return
            _fail(part, exc)
        except AetherError as exc:
            _fail(part, exc)
        except BaseException:
            for _, future in part:
                future.cancel()
            raise
        else:
            for _, future in part:
                if not future.done():
                    future.set_result(groups)


def _fail(part: Sequence[Asked], error: AetherError) -> None:
    for _, future in part:
        if not future.done():
            future.set_exception(error)
