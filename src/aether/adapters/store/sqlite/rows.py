"""Rows as bytes and back, and what is kept in memory of a run that moves.

In: rows. Out: bodies. Never: a payload decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from ....record import CronRow, HookRow, RunRow, TaskRow

LARGE = 1024
"""Bytes of arguments and variables that stay in a run's row; more would be rewritten too often."""

encode = msgspec.msgpack.Encoder().encode
decode_run = msgspec.msgpack.Decoder(RunRow).decode
decode_task = msgspec.msgpack.Decoder(TaskRow).decode
decode_hook = msgspec.msgpack.Decoder(HookRow).decode
decode_cron = msgspec.msgpack.Decoder(CronRow).decode

R = TypeVar("R", TaskRow, HookRow)


class Held(dict[int, R], Generic[R]):
    """The rows of one run that may be patched next; those that are not in memory are fetched."""

    __slots__ = ("_fetch", "_run")

    def __init__(self, run: int, fetch: Callable[[int, int], R | None]) -> None:
        super().__init__()
        self._run = run
        self._fetch: Callable[[int, int], R | None] = fetch

    def __contains__(self, number: object) -> bool:
        return super().__contains__(number) or self._find(number) is not None

    def held(self, number: int) -> R | None:
        """The row, or None if there is none."""
        row = self.get(number)
        return row if row is not None else self._find(number)

    def _find(self, number: object) -> R | None:
        assert isinstance(number, int), "rows are numbered"
        row = self._fetch(self._run, number)
        if row is not None:
            self[number] = row
        return row


class Kept:
    """A run as the writer knows it: its row, its open tasks, its open hooks."""

    __slots__ = ("hooks", "large", "number", "open_hooks", "row", "seen", "tasks")

    def __init__(
        self, number: int, row: RunRow, open_hooks: int, tasks: Held[TaskRow], hooks: Held[HookRow]
    ) -> None:
        self.number = number
        self.row = row
        self.large = False  # asked for only when the run is new
        self.open_hooks = open_hooks
        self.seen = -1  # when something was last written of it
        self.tasks = tasks
        self.hooks = hooks

    @property
    def is_open(self) -> bool:
        return not self.row.phase.is_terminal or self.open_hooks > 0
