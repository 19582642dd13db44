"""Clock: the only way time enters engine, worker and adapters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..record import Instant


class Handle(Protocol):
    def cancel(self) -> None:
        """Forget the call. Safe when it has happened, and when it was cancelled before."""


class Clock(Protocol):
    """`now` is wall time in whole microseconds since 1970, UTC. It may go backwards; rely on it not to
    nowhere.

    `call_at` runs `callback` once, in the event loop's thread, once `now() >= when`: never before, also
    when the clock went backwards meanwhile, and never inside the call to `call_at` itself. Calls run in
    the order of their instants, those of one instant in the order in which they were asked for. An
    instant in the past means: as soon as the loop is free. A callback may ask for further calls. One
    that raises stops no other; the loop's exception handler is told. Waiting calls keep nothing else
    from running: no thread is held and the loop is not blocked. It is called from the loop's thread.

    `call_in` runs `callback` once, after `span` microseconds of time as it passes: whatever is done to
    `now` meanwhile, the span stays as long as it is. It is for naps, retries and heartbeats, whose length
    counts; `call_at` is for what is due at an instant of the calendar. Otherwise it promises the same;
    none or a negative span means: as soon as the loop is free.
    """

    def now(self) -> Instant: ...

    def call_at(self, when: Instant, callback: Callable[[], None]) -> Handle: ...

    def call_in(self, span: int, callback: Callable[[], None]) -> Handle: ...
