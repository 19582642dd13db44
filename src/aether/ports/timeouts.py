"""TimeoutWatcher: says when a run must be looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..record import Instant


class TimeoutWatcher(Protocol):
    """Keeps one instant for each run: the earliest of its deadlines, retry waits and timers.

    `start` hands over the callback; `set` replaces the run's instant, None forgets it, also for a run
    that is not known. Once the clock has reached an instant, the callback is called with the run id, at
    least once, and the instant is forgotten; one in the past is due at once. Runs due together are
    called in the order of their instants. Nothing is called before its time, also when the clock went
    backwards, nor after `stop`, nor inside `set` or `start`. The callback may call `set`, for its own
    run too. A callback that raises stops no other.

    What is set before `start` counts from `start` on. `start` twice raises InvalidState
    `already-started`; `stop` is idempotent and forgets everything, and `start` may follow it.

    `set` costs no more than the logarithm of the number of runs watched, and memory is in proportion to
    them, not to the number of calls. It polls nothing: while nothing is due it leaves the clock alone.
    """

    def start(self, on_due: Callable[[str], None]) -> None: ...

    def set(self, run_id: str, due_at: Instant | None) -> None: ...

    def stop(self) -> None: ...
