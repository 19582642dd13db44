"""What a function has appended when the store fails: recorded once, and acknowledged truly."""

from __future__ import annotations

import asyncio

import pytest

from aether.errors import CommitUnknown, StoreUnavailable, Superseded
from aether.ports import FunctionStart
from aether.record import Completed, Path, Phase, StepDone, WaitOpened
from unit.engine.engine_world import World


async def begun(world, run_id="r"):
    await world.engine.start_function(FunctionStart(name="f", version="1", run_id=run_id))
    await world.settle()
    assignment = world.broker.named("f")
    world.broker.start(assignment)
    return assignment.fence


def step(world, name):
    now = world.clock.now()
    return StepDone(path=Path("", name), outputs=b"[1]", started_at=now, finished_at=now)


@pytest.mark.parametrize(
    "mishap",
    [
        StoreUnavailable("away"),
        CommitUnknown("nothing was written"),
        ("after", CommitUnknown("written all the same")),
    ],
)
async def test_what_was_appended_when_the_store_failed_is_recorded_once(mishap) -> None:
    async with World() as world:
        fence = await begun(world)
        world.store.mishaps.append(mishap)
        first = world.engine.journal.append("r", fence, 0, [step(world, "a")])
        await world.settle()
        assert not first.done()
        second = world.engine.journal.append("r", fence, 0, [step(world, "b"), Completed()])
        await world.advance(10)
        assert (await first, await second) == (0, 0)
        names = [row.task_name for row in await world.engine.journal.rows("r")]
        assert names == ["f", "a", "b"]
        assert (await world.store.run("r")).phase is Phase.SUCCEEDED


async def test_answers_that_came_while_the_store_was_away_are_given_once_they_are_safe() -> None:
    async with World() as world:
        fence = await begun(world)
        await world.engine.journal.append("r", fence, 0, [WaitOpened(path=Path("", "go"))])
        asking = world.engine.journal.answers("r", fence, 0)
        world.store.mishaps.append(("after", CommitUnknown("who knows")))
        both = asyncio.gather(asking, world.engine.signal("r", "go", b"[2]"))
        await world.settle()
        assert not both.done()
        await world.advance(10)
        [row], _ = await both
        assert (row.order, row.outputs) == (1, b"[2]")


async def test_a_stopped_engine_records_nothing_and_says_so() -> None:
    async with World() as world:
        fence = await begun(world)
        await world.engine.stop()
        with pytest.raises(Superseded):
            await world.engine.journal.append("r", fence, 0, [step(world, "a")])
        with pytest.raises(Superseded):
            await world.engine.journal.answers("r", fence, 0)


async def test_a_run_whose_state_was_forgotten_goes_on_from_its_rows() -> None:
    async with World(runs_in_memory=1) as world:
        fence = await begun(world)
        await world.engine.journal.append("r", fence, 0, [WaitOpened(path=Path("", "go"))])
        for n in range(80):
            await begun(world, f"other-{n}")
        await world.settle()
        await world.advance(2)
        assert world.engine._runs.held("r") is None
        await world.engine.signal("r", "go", b"[2]")
        [row] = await world.engine.journal.answers("r", fence, 0)
        assert row.outputs == b"[2]"
        await world.engine.journal.append("r", fence, 1, [step(world, "a"), Completed()])
        assert (await world.store.run("r")).phase is Phase.SUCCEEDED
