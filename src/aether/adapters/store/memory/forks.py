"""Logs in memory, some of which begin with a part of another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from copy import copy

from ....ports import LogEntry


class Log:
    """The entries of one run. Those that it shares stay in the log of the run that wrote them, which
    is kept by this reference alone when that run is deleted."""

    __slots__ = ("_before", "_entries", "_sharers", "_upto", "run_id")

    def __init__(self, run_id: str, before: Log | None = None, upto: int = 0) -> None:
        self.run_id = run_id  # "" when the run is deleted
        self._entries: list[LogEntry] = []
        self._before, self._upto = before, upto
        self._sharers: set[Log] = set()
        if before is not None:
            before._sharers.add(self)

    def add(self, entry: LogEntry) -> None:
        self._entries.append(copy(entry))

    def behind(self, seq: int, limit: int) -> list[LogEntry]:
        found: list[LogEntry] = []
        for log, upto in self._parts():
            start = bisect_right(log._entries, seq, key=lambda entry: entry.seq)
            for entry in log._entries[start : start + limit - len(found)]:
                if upto is not None and entry.seq > upto:
                    break
                found.append(copy(entry))
        return found

    def _parts(self) -> list[tuple[Log, int | None]]:
        """The logs that this one consists of, the oldest first, each up to a number."""
        parts: list[tuple[Log, int | None]] = [(self, None)]
        log, upto = self, None
        while log._before is not None:
            upto = log._upto if upto is None else min(upto, log._upto)
            log = log._before
            parts.append((log, upto))
        return parts[::-1]

    def heirs(self) -> Iterator[str]:
        """The runs that share of this log, directly or not."""
        for log in self._sharers:
            if log.run_id:
                yield log.run_id
            yield from log.heirs()

    def release(self) -> None:
        """Its run is deleted."""
        self.run_id = ""
        log: Log | None = self
        while log is not None and not log.run_id and not log._sharers:
            before = log._before
            if before is not None:
                before._sharers.discard(log)
            log = before
