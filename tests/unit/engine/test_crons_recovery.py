"""Crons when engines die, stores fail and several engines share one store."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from aether.engine import cron_rules as rules
from aether.engine.cron_fires import Claim
from aether.errors import CommitUnknown, Problem, Refused, StoreUnavailable, TokenMismatch
from unit.engine.cron_world import FailingStore, World, at, cron

HOUR = timedelta(hours=1)


@pytest.fixture
async def world():
    world = World()
    yield world
    world.before_submit = None
    await world.stop()
    assert world.clock.waiting == 0


# Dying between claim and submit


async def _dies_when_submitting(world, crons):
    async def die(run_id):
        await asyncio.Event().wait()

    world.before_submit = die
    await world.clock.advance(HOUR)
    for task in list(crons._clock._tasks):
        task.cancel()
    await asyncio.gather(*crons._clock._tasks, return_exceptions=True)
    await crons.stop()
    world.before_submit = None


async def test_claim_of_an_engine_that_died_is_submitted_once_by_the_next(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(concurrency_policy="Forbid"))
    await _dies_when_submitting(world, crons)
    row = await world.row(cron_id)
    assert (row.last_fire_at, len(row.pending), world.submitted) == (at("2026-05-04T12:00"), 1, [])
    await (await world.started()).drain()
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    row = await world.row(cron_id)
    assert (row.pending, row.last_run_id) == ((), world.submitted[0])
    await (await world.started()).drain()
    assert len(world.submitted) == 1


async def test_claim_that_was_submitted_but_not_struck_out_is_not_submitted_again(world):
    store = FailingStore(world.store)
    crons = await world.started(store=store)
    cron_id = await crons.submit_cron(cron(successful_jobs_history_limit=0))

    async def then_fail(run_id):
        store.fails["put_cron"] = StoreUnavailable("gone")

    world.before_submit = then_fail
    await world.clock.advance(HOUR)
    await crons.stop()
    run_id = world.submitted[0]
    await world.end(run_id)
    survivor = await world.started()
    survivor.run_ended(cron_id)
    await survivor.drain()
    assert world.submitted == [run_id]
    assert (await world.row(cron_id)).last_run_id == run_id
    assert await world.store.run(run_id) is None


async def test_claim_left_behind_is_judged_by_its_deadline_again(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(starting_deadline_seconds=60))
    await _dies_when_submitting(world, crons)
    await world.clock.advance(timedelta(minutes=10))
    await (await world.started()).drain()
    assert await world.runs(cron_id) == []
    assert (await world.row(cron_id)).pending == ()


async def test_claim_left_behind_by_a_suspended_cron_is_dropped(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await _dies_when_submitting(world, crons)
    other = world.engine()
    await other.suspend_cron(cron_id)
    await other.start()
    await other.drain()
    assert (await world.runs(cron_id), (await world.row(cron_id)).pending) == ([], ())


async def _claimed(crons, cron_id, text):
    """What an engine does before it dies."""
    claim = Claim(rules.fire_run_id(cron_id, at(text)), at(text), at(text))
    await crons._fires.claim(cron_id, [claim], scheduled=True)
    return claim


async def test_next_tick_works_off_what_a_dead_engine_claimed_and_its_own(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await world.clock.advance(to=at("2026-05-04T12:30"))
    await _claimed(world.engine(), cron_id, "2026-05-04T12:30")
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == [
        "2026-05-04T12:00", "2026-05-04T12:30", "2026-05-04T13:00"]  # fmt: skip


async def test_fire_whose_run_is_over_and_deleted_is_not_claimed_again(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    claim = await _claimed(crons, cron_id, "2026-05-04T12:00")
    await crons._fires.work_off(cron_id)
    await world.end(claim.run_id)
    await world.store.delete(claim.run_id)
    await _claimed(crons, cron_id, "2026-05-04T12:00")
    assert (await world.row(cron_id)).pending == ()


async def test_run_of_a_claim_that_is_not_struck_out_survives_the_clean_up(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(successful_jobs_history_limit=0))
    claim = await _claimed(crons, cron_id, "2026-05-04T12:00")
    await world.submit(cron(), run_id=claim.run_id, cron_id=cron_id, fire_at=claim.fire_at)
    await world.end(claim.run_id)
    assert await crons._fires.tidy(cron_id) == 0
    await crons.refresh()
    await crons.drain()
    assert world.submitted == [claim.run_id]
    assert await world.runs(cron_id) == []


async def test_run_that_appears_while_its_fire_is_judged_does_not_forbid_itself(world):
    store = FailingStore(world.store)
    crons = await world.started(store=store)
    cron_id = await crons.submit_cron(cron(concurrency_policy="Forbid"))
    claim = await _claimed(crons, cron_id, "2026-05-04T12:00")
    look = world.store.run

    async def just_before(run_id):
        world.store.run = look
        await world.submit(cron(), run_id=run_id, cron_id=cron_id, fire_at=claim.fire_at)

    world.store.run = just_before
    dealt = await crons._fires.work_off(cron_id)
    assert (dealt[claim.run_id].answer.run_id, dealt[claim.run_id].answer.reason) == (
        claim.run_id, "")  # fmt: skip


async def test_old_runs_are_deleted_when_the_clock_fires_too(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(successful_jobs_history_limit=0))
    await world.clock.advance(HOUR)
    await world.end(world.submitted[0])  # and nobody says so
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T13:00"]


# A store with bad days


async def test_fire_that_fails_while_the_engine_stops_leaves_no_timer(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    release = asyncio.Event()

    async def fail_later(run_id):
        await release.wait()
        raise StoreUnavailable("no disk")

    world.before_submit = fail_later
    await world.clock.advance(HOUR)
    stopping = asyncio.create_task(crons.stop())
    await asyncio.sleep(0)
    release.set()
    await stopping
    assert world.clock.waiting == 0
    assert len((await world.row(cron_id)).pending) == 1


async def test_fire_waits_for_a_store_that_does_not_answer(world):
    store = FailingStore(world.store)
    crons = await world.started(store=store)
    cron_id = await crons.submit_cron(cron())
    store.fails["cron"] = StoreUnavailable("the line is dead")
    await world.clock.advance(HOUR + timedelta(seconds=10))
    assert world.submitted == []
    tried = len([reason for reason in world.reasons if "the line is dead" in reason])
    assert tried == 4  # at once, after 1, 3 and 7 s
    del store.fails["cron"]
    await world.clock.advance(timedelta(seconds=60))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]


async def test_claim_whose_outcome_is_unknown_is_looked_up(world):
    store = FailingStore(world.store)
    crons = await world.started(store=store)
    cron_id = await crons.submit_cron(cron())
    store.fails["put_cron"] = CommitUnknown("the line went dead")
    await world.clock.advance(HOUR + timedelta(seconds=1))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    assert len(world.submitted) == 1


async def test_submit_that_meets_a_dead_store_is_tried_again(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())

    async def unavailable(run_id):
        raise StoreUnavailable("no disk")

    world.before_submit = unavailable
    await world.clock.advance(HOUR)
    assert len((await world.row(cron_id)).pending) == 1
    world.before_submit = None
    await world.clock.advance(timedelta(seconds=1))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]


async def test_trigger_that_meets_a_dead_store_says_that_the_run_may_come(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())

    async def unavailable(run_id):
        raise StoreUnavailable("no disk")

    world.before_submit = unavailable
    with pytest.raises(CommitUnknown, match="may exist"):
        await crons.trigger_cron(cron_id)
    world.before_submit = None
    await crons.refresh()
    await crons.drain()
    assert len(world.submitted) == 1


async def test_run_that_is_refused_does_not_block_the_cron(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())

    async def refuse(run_id):
        raise Refused(Problem("template-missing", "there is no template 'x'"))

    world.before_submit = refuse
    await world.clock.advance(HOUR)
    assert any("there is no template 'x'" in reason for reason in world.reasons)
    world.before_submit = None
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T13:00"]


async def test_fault_of_the_engine_is_reported_and_does_not_block_the_cron(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())

    async def bug(run_id):
        raise KeyError("oops")

    world.before_submit = bug
    await world.clock.advance(HOUR)
    assert any("KeyError" in reason for reason in world.reasons)
    world.before_submit = None
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T13:00"]


async def test_row_that_changes_all_the_time_is_given_up_and_tried_later(world):
    store = FailingStore(world.store)
    crons = await world.started(store=store)
    cron_id = await crons.submit_cron(cron())
    store.fails["put_cron"] = TokenMismatch("too slow")
    await world.clock.advance(HOUR)
    assert any("changed 50 times" in reason for reason in world.reasons)
    store.fails.clear()
    await world.clock.advance(timedelta(seconds=1))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]


# Several engines over one store


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
async def test_three_engines_fire_a_cron_once(world, policy):
    engines = [await world.started() for _ in range(3)]
    cron_id = await engines[0].submit_cron(cron(concurrency_policy=policy, catch_up="all"))
    for crons in engines:
        await crons.refresh()
    for hour in range(12, 17):
        world.clock.jump(at(f"2026-05-04T{hour}:00"))
        await world.clock.settle()
        for crons in engines:
            await crons.drain()
        if policy == "Forbid":
            await world.end(world.submitted[-1])
    assert len(set(world.submitted)) == 5
    assert (await world.row(cron_id)).last_fire_at == at("2026-05-04T16:00")
    assert (await world.row(cron_id)).pending == ()
    if policy == "Replace":
        assert len(world.cancelled) == 4


async def test_engine_takes_up_what_others_added_changed_and_deleted(world):
    here, there = await world.started(), await world.started()
    kept = await there.submit_cron(cron(name="kept"))
    changed = await there.submit_cron(cron(name="changed"))
    gone = await there.submit_cron(cron(name="gone"))
    await here.refresh()
    await there.update_cron(changed, cron("30 * * * *", name="changed"))
    await there.delete_cron(gone)
    await there.stop()
    await here.refresh()
    assert set(here._clock._armed) == {kept, changed}
    await world.clock.advance(HOUR)
    assert await world.runs(kept) == ["2026-05-04T12:00"]
    assert await world.runs(changed) == ["2026-05-04T11:30"]
    assert await world.runs(gone) == []


async def test_tick_of_an_old_schedule_fires_nothing(world):
    here, there = await world.started(), await world.started()
    cron_id = await there.submit_cron(cron("0 * * * *"))
    await here.refresh()
    await there.update_cron(cron_id, cron("30 13 * * *"))
    await there.stop()
    await world.clock.advance(3 * HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T13:30"]


async def test_tick_of_a_cron_that_another_engine_suspended_or_deleted_does_nothing(world):
    here, there = await world.started(), await world.started()
    first, second = [await there.submit_cron(cron(name=name)) for name in ("one", "two")]
    await here.refresh()
    await there.suspend_cron(first)
    await there.delete_cron(second)
    await there.stop()
    await world.clock.advance(2 * HOUR)
    assert world.submitted == []
    assert world.clock.waiting == 0
