"""Names for new runs and crons: unique ones, and short ones for tests and demonstrations."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..ports import IdKind


def _uuid7() -> Callable[[], object]:
    try:
        from uuid_utils import uuid7
    except ImportError:  # no wheel for this platform
        if sys.version_info >= (3, 14):
            from uuid import uuid7
        else:
            raise
    return uuid7


class UuidV7Ids:
    """UUIDs of version 7 in standard text form: unique everywhere, in the order of their making."""

    def __init__(self) -> None:
        self._new = _uuid7()

    def generate(self, kind: IdKind, name: str) -> str:
        return str(self._new())


class CounterIds:
    """`<prefix>1`, `<prefix>2`, …: easy to read and the same every time.

    It remembers nothing: over a store that outlives the process, or for a second generator over the
    same store, give another `prefix` or a `start` behind the last number used.
    """

    def __init__(self, prefix: str = "", start: int = 1) -> None:
        if not all(c.isascii() and (c.isalnum() or c in "-_:") for c in prefix):
            raise ValueError(
                f"prefix {prefix!r} cannot begin an id: use letters, digits, '-', '_' and ':'"
            )
        if len(prefix) > 100:
            raise ValueError(f"prefix is {len(prefix)} characters long: use 100 at most")
        self._prefix = prefix
        self._next = start

    def generate(self, kind: IdKind, name: str) -> str:
        self._next += 1
        return f"{self._prefix}{self._next - 1}"
