"""Several notifiers as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from ...errors import Problem, Refused
from ...ports import HookEvent, Notifier


class CompositeNotifier:
    """Tells all of them at the same time. One that fails or is slow keeps no other from being told; what
    they raise is raised together, as an ExceptionGroup, when all have answered."""

    def __init__(self, *notifiers: Notifier) -> None:
        self._notifiers = notifiers
        self._closed = False

    async def notify(self, event: HookEvent) -> None:
        if self._closed:
            raise Refused(Problem("notifier-closed", "this notifier is closed", fix="make another"))
        await _all(
            f"{event.hook} of run {event.run_id} was not delivered everywhere",
            [notifier.notify(event) for notifier in self._notifiers],
        )

    async def close(self) -> None:
        self._closed = True
        await _all("not every notifier closed", [notifier.close() for notifier in self._notifiers])


async def _all(message: str, calls: Iterable[Awaitable[None]]) -> None:
    answers = await asyncio.gather(*calls, return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    if errors:
        raise ExceptionGroup(message, errors)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
