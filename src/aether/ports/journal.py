"""Journal: the record of function runs, as the code that runs the functions sees it.

A function run is a task run of kind `workflow` (ordinal 0), which the broker hands to a worker like any
other, and one row for each durable call below it. The function decides what happens; the journal
records it and answers from the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..record import Fact, TaskRow
from .broker import Fence

if TYPE_CHECKING:
    from asyncio import Future


class Journal(Protocol):
    """Keeps what a function run has done.

    Rows. Each path has one row, made by the first fact that names it; a second StepDone of a path that
    was to run again changes that row. A row is never changed after it is terminal. Facts from outside
    (signals, updates, a cancellation) are rows of kind `signal`, `update` and `cancel`.

    Answers. Rows that end, or come, without the function having done it itself (timers, waits,
    activities, children, updates, a cancellation) are *answers*: their member `order` numbers them
    1, 2, … in the order in which they became known. A step's `order` is the number of answers that the
    function had been handed before: that is `after` of the append that brought it. So a replay can
    hand everything out again in the order in which the function saw it. Notes, signals and what was
    dropped have no number. A step that is to run again is no answer when its time comes: its function
    waits for that.

    `append` takes facts in the order given, all or none, and returns a future that is done once they
    are as safe as the run's tier promises; its result is the number of the newest answer. Facts that are
    appended one after the other may share a commit. It fails with Superseded when `fence` is no longer
    the one that counts: then nothing was recorded, and the function must be dropped without a trace.
    While the run is paused facts are recorded, and futures and answers wait for the end of the pause:
    so a function goes no further than to the end of its step. A future for nothing but StatusSet may take
    a second.

    `answers` waits until there are answers behind `after`, and returns them in order; Superseded as above.
    `rows` returns all rows of the run by ordinal, as committed; NotFound when there is no such run.
    """

    def append(
        self, run_id: str, fence: Fence, after: int, facts: Sequence[Fact]
    ) -> Future[int]: ...

    async def answers(self, run_id: str, fence: Fence, after: int) -> Sequence[TaskRow]: ...

    async def rows(self, run_id: str) -> Sequence[TaskRow]: ...
