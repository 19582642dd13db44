"""What every Journal promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from ..errors import NotFound, Superseded
from ..ports import Fence, Journal
from ..record import (
    Completed,
    Dropped,
    Fact,
    Instant,
    Noted,
    Parked,
    Path,
    Phase,
    StepDone,
    TaskRow,
    TimerStarted,
    UpdateAnswered,
    WaitOpened,
)
from .suites import ContractSuite

SECOND = 1_000_000
RUN = "run"


class JournalWorld(Protocol):
    """A journal, and what happens around it: on a clock that the test moves."""

    @property
    def journal(self) -> Journal: ...

    def now(self) -> Instant: ...

    async def begin(self, run_id: str) -> Fence:
        """A new run of a function, handed out for the first time."""

    def fence(self, run_id: str) -> Fence:
        """The delivery that was handed out last."""

    async def signal(self, run_id: str, name: str, payload: bytes) -> None: ...

    async def update(self, run_id: str, name: str, payload: bytes) -> None: ...

    async def cancel(self, run_id: str) -> None: ...

    async def take_over(self, run_id: str) -> None:
        """Another engine goes on with the run: it is handed out again."""

    async def advance(self, seconds: float) -> None: ...


def path(name: str, occurrence: int = 0) -> Path:
    return Path("", name, occurrence)


class JournalContract(ContractSuite):
    """`make` returns a world in which nothing has happened yet."""

    async def make(self) -> JournalWorld:
        raise NotImplementedError

    async def begun(self) -> JournalWorld:
        world = await self.make()
        self.fence = await world.begin(RUN)
        return world

    def step(self, world: JournalWorld, name: str, **members: Any) -> StepDone:
        now = world.now()
        members = {"path": path(name), "outputs": b"[1]", **members}
        return StepDone(started_at=now, finished_at=now, **members)

    async def append(self, world: JournalWorld, after: int, *facts: Fact) -> int:
        return await world.journal.append(RUN, world.fence(RUN), after, facts)

    async def row(self, world: JournalWorld, name: str) -> TaskRow:
        return [row for row in await world.journal.rows(RUN) if row.task_name == name][-1]

    # Rows

    async def test_a_first_delivery_is_the_first_of_the_first_epoch(self) -> None:
        world = await self.begun()
        assert self.fence == Fence(1, 1)
        [root] = await world.journal.rows(RUN)
        assert (root.ordinal, root.kind, root.parent) == (0, "workflow", None)

    async def test_each_path_has_a_row_with_what_was_told_of_it(self) -> None:
        world = await self.begun()
        await self.append(world, 0, self.step(world, "a", inputs=b"[0]", where="f.py:1"))
        await self.append(world, 0, self.step(world, "a", path=path("a", 1)))
        await self.append(
            world, 0, self.step(world, "b", error_type="E", message="E: no", outputs=b"[2]")
        )
        rows = await world.journal.rows(RUN)
        assert [(r.ordinal, r.parent, r.task_name, r.scope, r.kind) for r in rows[1:]] == [
            (1, 0, "a", "#0", "step"),
            (2, 0, "a", "#1", "step"),
            (3, 0, "b", "#0", "step"),
        ]
        assert (rows[1].inputs, rows[1].outputs, rows[1].template_name) == (
            b"[0]",
            b"[1]",
            "f.py:1",
        )
        assert rows[1].phase is Phase.SUCCEEDED
        assert (rows[3].phase, rows[3].message, rows[3].outputs) == (Phase.FAILED, "E: no", b"[2]")

    async def test_a_second_attempt_changes_the_row_of_the_first(self) -> None:
        world = await self.begun()
        failed = self.step(world, "a", error_type="E", retry_at=world.now() + SECOND)
        await self.append(world, 0, failed)
        row = await self.row(world, "a")
        assert (row.phase.is_terminal, row.retry_at, row.attempt) == (
            False,
            failed.retry_at,
            1,
        )
        await self.append(world, 0, self.step(world, "a", attempt=2))
        row = await self.row(world, "a")
        assert (row.phase, row.attempt, len(await world.journal.rows(RUN))) == (
            Phase.SUCCEEDED,
            2,
            2,
        )

    async def test_facts_of_one_append_are_recorded_in_order(self) -> None:
        world = await self.begun()
        note = Noted(path=path("patch"), outputs=b"[3]")
        await self.append(world, 0, self.step(world, "a"), note, self.step(world, "b"))
        names = [row.task_name for row in await world.journal.rows(RUN)]
        assert names[1:] == ["a", "patch", "b"]

    async def test_appends_that_do_not_wait_for_each_other_keep_their_order(self) -> None:
        world = await self.begun()
        futures = [
            world.journal.append(RUN, self.fence, 0, [self.step(world, "a", path=path("a", n))])
            for n in range(20)
        ]
        assert await asyncio.gather(*futures) == [0] * 20
        scopes = [row.scope for row in (await world.journal.rows(RUN))[1:]]
        assert scopes == [f"#{n}" for n in range(20)]

    async def test_rows_of_an_unknown_run_are_not_found(self) -> None:
        world = await self.begun()
        with pytest.raises(NotFound):
            await world.journal.rows("nobody")

    # Answers

    async def answers(self, world: JournalWorld, after: int) -> Sequence[TaskRow]:
        return await world.journal.answers(RUN, world.fence(RUN), after)

    async def test_what_ends_by_itself_is_numbered_as_it_becomes_known(self) -> None:
        world = await self.begun()
        due = world.now() + SECOND
        waits = [
            WaitOpened(path=path("go")),
            WaitOpened(path=path("late"), deadline_at=due + SECOND),
        ]
        await self.append(world, 0, TimerStarted(path=path("nap"), due_at=due), *waits)
        await world.signal(RUN, "go", b"[1]")
        await world.advance(1)
        await world.advance(1)
        await world.update(RUN, "price", b"[2]")
        await world.cancel(RUN)
        rows = await self.answers(world, 0)
        assert [(row.order, row.task_name, row.kind) for row in rows] == [
            (1, "go", "wait"),
            (2, "nap", "timer"),
            (3, "late", "wait"),
            (4, "price", "update"),
            (5, "cancel", "cancel"),
        ]
        assert [row.phase for row in rows[:3]] == [
            Phase.SUCCEEDED,
            Phase.SUCCEEDED,
            Phase.TIMEOUT,
        ]
        assert (rows[0].outputs, rows[3].inputs) == (b"[1]", b"[2]")
        assert [row.order for row in await self.answers(world, 3)] == [4, 5]

    async def test_answers_are_waited_for(self) -> None:
        world = await self.begun()
        await self.append(world, 0, WaitOpened(path=path("go")))
        asking = asyncio.ensure_future(self.answers(world, 0))
        await world.advance(0)
        assert not asking.done()
        await world.signal(RUN, "go", b"[1]")
        assert [row.task_name for row in await asking] == ["go"]

    async def test_signals_are_kept_and_matched_in_order(self) -> None:
        world = await self.begun()
        for payload in (b"[1]", b"[2]"):
            await world.signal(RUN, "go", payload)
        await world.signal(RUN, "other", b"[9]")
        waits = [WaitOpened(path=path("go", n)) for n in range(3)]
        assert await self.append(world, 0, *waits) == 2
        assert [row.outputs for row in await self.answers(world, 0)] == [b"[1]", b"[2]"]

    async def test_a_step_carries_the_number_of_answers_seen_before_it(self) -> None:
        world = await self.begun()
        await world.signal(RUN, "go", b"[1]")
        newest = await self.append(world, 0, WaitOpened(path=path("go")))
        assert newest == 1
        await self.append(world, 0, self.step(world, "early"))
        await self.append(world, 1, self.step(world, "late"))
        assert [(await self.row(world, name)).order for name in ("early", "late")] == [0, 1]

    async def test_an_update_is_open_until_it_is_answered(self) -> None:
        world = await self.begun()
        await world.update(RUN, "price", b"[1]")
        [row] = await self.answers(world, 0)
        assert not row.phase.is_terminal
        await self.append(world, 1, UpdateAnswered(ordinal=row.ordinal, outputs=b"[2]"))
        row = await self.row(world, "price")
        assert (row.phase, row.outputs, row.order) == (Phase.SUCCEEDED, b"[2]", 1)

    async def test_what_was_dropped_is_no_answer(self) -> None:
        world = await self.begun()
        due = world.now() + SECOND
        await self.append(world, 0, TimerStarted(path=path("nap"), due_at=due))
        await self.append(world, 0, Dropped(path=path("nap")))
        await world.advance(2)
        row = await self.row(world, "nap")
        assert (row.phase, row.order) == (Phase.CANCELLED, 0)

    # Deliveries

    async def test_a_parked_run_is_handed_out_again_for_an_answer(self) -> None:
        world = await self.begun()
        await self.append(world, 0, WaitOpened(path=path("go")), Parked())
        assert world.fence(RUN) == self.fence
        with pytest.raises(Superseded):
            await world.journal.append(RUN, self.fence, 0, [self.step(world, "a")])
        await world.signal(RUN, "go", b"[1]")
        assert world.fence(RUN).delivery == self.fence.delivery + 1
        assert [row.task_name for row in await self.answers(world, 0)] == ["go"]
        await self.append(world, 1, self.step(world, "a"))

    async def test_parking_over_an_answer_has_no_effect(self) -> None:
        world = await self.begun()
        await world.signal(RUN, "go", b"[1]")
        assert await self.append(world, 0, WaitOpened(path=path("go")), Parked()) == 1
        assert world.fence(RUN) == self.fence
        await self.append(world, 1, self.step(world, "a"))

    async def test_nothing_of_a_delivery_that_is_over_is_recorded(self) -> None:
        world = await self.begun()
        asking = asyncio.ensure_future(world.journal.answers(RUN, self.fence, 0))
        await world.advance(0)
        await world.take_over(RUN)
        assert world.fence(RUN).epoch > self.fence.epoch
        with pytest.raises(Superseded):
            await asking
        with pytest.raises(Superseded):
            await world.journal.append(RUN, self.fence, 0, [self.step(world, "a")])
        with pytest.raises(Superseded):
            await world.journal.answers(RUN, self.fence, 0)
        assert [row.task_name for row in await world.journal.rows(RUN)][1:] == []
        await self.append(world, 0, self.step(world, "a"))

    async def test_nothing_is_recorded_after_the_end(self) -> None:
        world = await self.begun()
        await self.append(world, 0, self.step(world, "a"), Completed(outputs=b"[5]"))
        root = (await world.journal.rows(RUN))[0]
        assert (root.phase, root.outputs) == (Phase.SUCCEEDED, b"[5]")
        with pytest.raises(Superseded):
            await world.journal.append(RUN, self.fence, 0, [self.step(world, "b")])

    async def test_rows_handed_out_are_copies(self) -> None:
        world = await self.begun()
        await self.append(world, 0, self.step(world, "a"))
        (await world.journal.rows(RUN))[1].task_name = "spoilt"
        await world.update(RUN, "price", b"[1]")
        (await self.answers(world, 0))[0].task_name = "spoilt"
        assert [row.task_name for row in await world.journal.rows(RUN)][1:] == ["a", "price"]
