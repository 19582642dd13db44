"""Fires by the clock: policies, windows, jitter, restarts, and clocks that jump."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aether.adapters.cron import CronsimScheduler, ManualScheduler
from aether.errors import InvalidState
from aether.record import Phase
from unit.engine.cron_world import World, at, cron

HOUR = timedelta(hours=1)


@pytest.fixture
async def world():
    world = World()
    yield world
    world.before_submit = None
    await world.stop()
    assert world.clock.waiting == 0


# Policies by the clock


async def test_forbid_leaves_out_a_fire_and_says_why(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(concurrency_policy="Forbid"))
    await world.clock.advance(HOUR)
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    assert any("policy is Forbid" in reason for reason in world.reasons)
    assert world.errors.faults[-1].severity == "info"
    await world.end(world.submitted[0])
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T12:00", "2026-05-04T14:00"]


async def test_replace_cancels_the_run_of_the_fire_before(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(concurrency_policy="Replace"))
    await world.clock.advance(3 * HOUR)
    assert world.cancelled == world.submitted[:2]
    phases = [run.status for run in (await crons.get_cron(cron_id)).runs]
    assert phases[-1] is Phase.RUNNING


async def test_cron_never_stalls_however_long_it_was_forbidden(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron("* * * * *", concurrency_policy="Forbid"))
    await world.clock.advance(timedelta(minutes=150))
    await world.end(world.submitted[0])
    await world.clock.advance(timedelta(minutes=1))
    assert len(await world.runs(cron_id)) == 2


async def test_cron_fires_within_its_window_only_and_is_forgotten_behind_it(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(
        cron(start_at="2026-05-04T13:00:00Z", end_at="2026-05-04T15:00:00Z")
    )
    assert (await crons.get_cron(cron_id)).next_fire_at.hour == 13
    await world.clock.advance(timedelta(days=1))
    assert await world.runs(cron_id) == [f"2026-05-04T{hour}:00" for hour in (13, 14, 15)]
    assert world.clock.waiting == 0
    assert world.reasons == []  # nothing was tried outside it
    assert (await crons.get_cron(cron_id)).next_fire_at is None


async def test_fire_that_comes_too_late_is_left_out_and_the_next_is_not(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(starting_deadline_seconds=60))
    world.clock.jump(at("2026-05-04T12:02"))
    await world.clock.settle()
    assert await world.runs(cron_id) == []
    assert any("120 s late" in reason for reason in world.reasons)
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T13:00"]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [("none", ["12:00"]), ("last", ["14:00"]), ("all", ["12:00", "13:00", "14:00"])],
)
async def test_machine_that_slept_makes_up_for_what_catch_up_says(world, catch_up, expected):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(catch_up=catch_up))
    world.clock.jump(at("2026-05-04T14:30"))
    await world.clock.settle()
    assert [fire[-5:] for fire in await world.runs(cron_id)] == expected


async def test_clock_that_goes_back_fires_nothing_twice(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await world.clock.advance(HOUR)
    world.clock.set_back(timedelta(minutes=30))
    await crons.refresh()
    await world.clock.advance(timedelta(minutes=45))
    await world.stop()
    await (await world.started()).drain()
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T12:00", "2026-05-04T13:00"]
    assert len(world.submitted) == 2


async def test_thousand_crons_due_together_fire_once_each(world):
    crons = await world.started()
    ids = [await crons.submit_cron(cron(name=f"c{n}")) for n in range(1000)]
    world.clock.jump(at("2026-05-04T12:00"))
    await world.clock.settle()
    await crons.drain()
    assert len(world.submitted) == len(set(world.submitted)) == 1000
    assert {run_id.rpartition("-")[0] for run_id in world.submitted} == set(ids)


async def test_leap_day_fires_years_later(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron("0 0 29 2 *"))
    await world.clock.advance(timedelta(days=700))
    assert await world.runs(cron_id) == ["2028-02-29T00:00"]


# Jitter


async def test_jitter_puts_a_fire_off_and_keeps_the_instant_meant(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(jitter="30m", starting_deadline_seconds=1))
    await world.clock.advance(to=at("2026-05-04T12:00"))
    assert world.submitted == []
    await world.clock.advance(timedelta(minutes=30))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    run = await world.store.run(world.submitted[0])
    assert at("2026-05-04T12:00") < run.created_at < at("2026-05-04T12:30")


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
async def test_fire_that_was_being_put_off_survives_a_restart(world, catch_up):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(jitter="30m", catch_up=catch_up))
    await world.clock.advance(HOUR)
    await crons.stop()
    assert world.clock.waiting == 0
    await (await world.started()).drain()
    assert world.submitted == []  # it was not missed
    await world.clock.advance(timedelta(minutes=30))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]


async def test_fire_that_is_put_off_does_not_outlive_its_cron(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(jitter="30m"))
    await world.clock.advance(HOUR)
    await crons.delete_cron(cron_id)
    assert world.clock.waiting == 0
    await world.clock.advance(HOUR)
    assert world.submitted == []


# Restart


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"catch_up": "none"}, []),
        ({"catch_up": "last"}, ["15:00"]),
        ({"catch_up": "all"}, ["12:00", "13:00", "14:00", "15:00"]),
        ({"catch_up": "all", "catch_up_window": "90m"}, ["14:00", "15:00"]),
        ({"catch_up": "all", "suspend": True}, []),
        ({"catch_up": "all", "starting_deadline_seconds": 3600}, ["15:00"]),
        ({"catch_up": "all", "concurrency_policy": "Forbid"}, ["12:00"]),
        ({"catch_up": "all", "end_at": "2026-05-04T13:00:00Z"}, ["12:00", "13:00"]),
    ],
)
async def test_start_makes_up_for_what_was_missed(world, spec, expected):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(**spec))
    await crons.stop()
    await world.clock.advance(timedelta(hours=4, minutes=30))
    await (await world.started()).drain()
    assert [fire[-5:] for fire in await world.runs(cron_id)] == expected


async def test_start_makes_up_for_a_hundred_fires_at_most(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron("* * * * *", catch_up="all"))
    await crons.stop()
    await world.clock.advance(timedelta(hours=20))
    await (await world.started()).drain()
    fires = await world.runs(cron_id)
    assert (len(fires), fires[0], fires[-1]) == (100, "2026-05-05T05:21", "2026-05-05T07:00")


async def test_engine_goes_on_firing_after_stop_and_start(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await crons.stop()
    await crons.stop()
    await crons.start()
    await world.clock.advance(HOUR)
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    with pytest.raises(InvalidState):
        await crons.start()


# By hand


async def test_manual_scheduler_fires_when_told_and_not_by_itself(world):
    scheduler = ManualScheduler()
    crons = await world.started(scheduler=scheduler)
    cron_id = await crons.submit_cron(cron())
    await world.clock.advance(timedelta(hours=5))
    assert world.submitted == []
    assert scheduler.fire(cron_id, world.clock.now())
    assert not scheduler.fire(cron_id, world.clock.now())
    await crons.drain()
    assert await world.runs(cron_id) == ["2026-05-04T16:00"]


async def test_nothing_fires_after_stop(world):
    crons = world.engine(scheduler=CronsimScheduler(world.clock))
    await crons.start()
    cron_id = await crons.submit_cron(cron(jitter="10m"))
    await world.clock.advance(HOUR)
    await crons.stop()
    crons.run_ended(cron_id)
    await world.clock.advance(3 * HOUR)
    assert world.submitted == []
