"""Where a process of the crash matrix ends itself: a store and a broker with named instants in them.

In: `AETHER_CRASH_AT=after-commit:17`. Out: SIGKILL at the 17th time that this process gets there. Never:
anything that the code under test knows of.

`before-` and `after-` go with commit, delete, put_cron, put_template and load of the store, and with
dispatch, cancel, start and complete of the broker. `during-commit:17:300` ends the process 300
microseconds after the 17th commit began, wherever the transaction is by then.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

VARIABLE = "AETHER_CRASH_AT"

STORE_CALLS = ("commit", "load", "put_cron", "put_template", "put_schema")
BROKER_CALLS = ("dispatch", "cancel", "start", "complete")
POINTS = tuple(
    f"{when}-{call}" for call in STORE_CALLS + BROKER_CALLS for when in ("before", "after")
)


class Fuse:
    """Counts how often each point was reached, and ends the process at the one that was asked for."""

    def __init__(self, wanted: str, kill: Callable[[], None]) -> None:
        self.point, number, *rest = wanted.split(":")
        if self.point not in (*POINTS, "during-commit"):
            raise ValueError(f"there is no fault point '{self.point}'")
        self._number = int(number)
        self._microseconds = int(rest[0]) if rest else 0
        self._kill = kill
        self._reached: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        if point != self.point:
            return
        self._reached[point] += 1
        if self._reached[point] != self._number:
            return
        if point == "during-commit":
            # A thread of its own: it strikes while the transaction has the interpreter's lock released.
            threading.Timer(self._microseconds / 1_000_000, self._kill).start()
        else:
            self._kill()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Fused:
    """`inner`, with a fault point before and after each of `calls`; all else is passed on."""

    def __init__(self, inner: Any, calls: tuple[str, ...], fuse: Fuse) -> None:
        self._inner = inner
        self._calls = calls
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        if name not in self._calls:
            return member

        async def call(*args: Any, **options: Any) -> Any:
            self._fuse.reach(f"before-{name}")
            self._fuse.reach(f"during-{name}")
            result = await member(*args, **options)
            self._fuse.reach(f"after-{name}")
            return result

        return call
