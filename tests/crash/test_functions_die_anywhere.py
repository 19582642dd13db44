"""Functions under a real engine, broker, worker and store: the process dies after any commit, another goes
on, and the run ends as it would have."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from aether.adapters.executor import FunctionExecutor
from aether.adapters.store.memory import MemoryStore
from aether.adapters.store.sqlite import SqliteStore
from aether.errors import StoreUnavailable
from aether.flow import decode, rebuild
from aether.record import Phase
from unit.engine.function_engine import FunctionEngine
from unit.flow.workflows import CASES, done, waits, work

pytestmark = pytest.mark.asyncio


class DyingStore:
    """Lets `left` commits through, and is out of reach from then on."""

    def __init__(self, store, left) -> None:
        self.store = store
        self.left = left
        self.commits = 0

    async def commit(self, batch):
        if self.left <= 0:
            raise StoreUnavailable("the process is dead")
        self.left -= 1
        self.commits += 1
        return await self.store.commit(batch)

    def __getattr__(self, name):
        return getattr(self.store, name)


class Deadly(FunctionEngine):
    def __init__(self, store, left, **functions) -> None:
        super().__init__(**functions)
        self.store = DyingStore(store, left)
        self.extra = [FunctionExecutor("charge", charge)]

    @property
    def dead(self) -> bool:
        return self.store.left <= 0

    def _moves(self) -> bool:
        return (
            not self.dead and super()._moves()
        )  # what a dead process is busy with comes to no end

    async def revive(self) -> None:
        """Another process: what the old one still tries reaches no store."""
        self.store = DyingStore(self.store.store, 1_000_000)
        await self.process()

    async def to_the_end(self, run_id="r", patience=300):
        """Until the run is over. A store that lets nothing through any more is the end of the process."""
        for _ in range(patience):
            await self.settle()
            if self.dead:
                await self.revive()
            rows = await self.rows(run_id)
            if rows.run.phase.is_terminal:
                return outcome(rows.run)
            if waits_for_go(rows):
                await self.signal("go", "green", run_id)
            else:
                await self.clock.advance(timedelta(minutes=30))
        raise AssertionError([(row.kind, row.task_name, row.phase) for row in rows.tasks.values()])


def waits_for_go(rows) -> bool:
    return any(
        row.kind == "wait" and row.task_name == "go" and not row.phase.is_terminal
        for row in rows.tasks.values()
    )


def outcome(run):
    if run.phase is Phase.SUCCEEDED:
        return decode(run.outputs)
    return repr(rebuild(run.outputs, run.message))


def charge(amount):
    done.append("charge")
    return {"result": amount + 2}


async def mailing(ctx, to):
    return {"sent": await ctx.step("mail", work, f"mail-{to}")}


async def family(ctx):
    paid = await ctx.activity("charge", amount=5)
    child = await ctx.child(mailing, "you")
    pair = await ctx.parallel([lambda: ctx.child(mailing, "a"), lambda: ctx.child(mailing, "b")])
    return [paid, child, pair]


async def run_once(store, function, left=1_000_000, tier=""):
    done.clear()
    world = Deadly(store, left, flow=function, mailing=mailing)
    async with world:
        starting = asyncio.ensure_future(world.start("flow", tier=tier))
        for _ in range(100):
            await world.settle()
            if starting.done() or world.dead:
                break
        if not starting.done():  # died before the start was acknowledged: whoever asked asks again
            starting.cancel()
            await world.revive()
            await world.start("flow", tier=tier)
        result = await world.to_the_end()
        rows = await world.rows()
        assert not await world.faults()
        return result, world.store.commits, rows


ENGINE_CASES = [case for case in CASES if case[0] is not waits]
ENGINE_CASES.append((family, [7, {"sent": "mail-you"}, [{"sent": "mail-a"}, {"sent": "mail-b"}]]))


@pytest.mark.parametrize(("function", "expected"), ENGINE_CASES)
async def test_run_ends_the_same_wherever_its_process_dies(function, expected):
    whole, commits, _ = await run_once(MemoryStore(), function)
    assert expected is None or whole == expected
    drawn = function.__name__ == "drawn"  # tells the time, which another process reads later
    for left in range(1, commits):
        again, _, rows = await run_once(MemoryStore(), function, left)
        assert drawn or again == whole, f"died after {left} commits"
        names = [row.task_name for row in rows.tasks.values() if row.kind == "step"]
        assert len(names) == len(
            {(row.scope, row.task_name) for row in rows.tasks.values() if row.kind == "step"}
        )


@pytest.mark.parametrize(("function", "expected"), ENGINE_CASES)
async def test_run_on_sqlite_ends_the_same_when_its_process_dies_half_way(
    tmp_path, function, expected
):
    whole, commits, _ = await run_once(SqliteStore(tmp_path / "a.db"), function)
    assert expected is None or whole == expected
    again, _, _ = await run_once(SqliteStore(tmp_path / "b.db"), function, commits // 2)
    assert function.__name__ == "drawn" or again == whole


async def test_recorded_step_is_not_executed_again_after_any_death():
    async def flow(ctx):
        for n in range(6):
            await ctx.step(f"s{n}", work, f"s{n}")
        await ctx.sleep(hours=1)
        return await ctx.step("last", work, "last")

    _, commits, _ = await run_once(MemoryStore(), flow)
    for left in range(1, commits):
        await run_once(MemoryStore(), flow, left)
        counts = Counter(done)
        repeated = [name for name, count in counts.items() if count > 1]
        assert len(repeated) <= 1, f"died after {left} commits: {counts}"
        assert set(counts) == {*(f"s{n}" for n in range(6)), "last"}
