"""The cron calls: submit, get, list, update, delete, suspend, trigger, backfill."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from aether.adapters.cron import ManualScheduler
from aether.errors import NotFound, Problem, Refused
from aether.record import Phase
from unit.engine.cron_world import World, at, cron, moment


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.stop()
    assert world.clock.waiting == 0


async def test_submitted_cron_is_stored_scheduled_and_fires(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron("30 * * * *", timezone="Europe/Berlin"))
    view = await crons.get_cron(cron_id)
    assert (view.name, view.schedule, view.timezone) == ("report", "30 * * * *", "Europe/Berlin")
    assert view.next_fire_at.isoformat() == "2026-05-04T11:30:00+00:00"
    await world.clock.advance(timedelta(hours=2))
    assert await world.runs(cron_id) == ["2026-05-04T11:30", "2026-05-04T12:30"]
    view = await crons.get_cron(cron_id)
    assert view.last_run_id == f"{cron_id}-{at('2026-05-04T12:30') // 1_000_000}"
    assert view.last_schedule_at.isoformat() == "2026-05-04T12:30:00+00:00"
    assert view.next_fire_at.isoformat() == "2026-05-04T13:30:00+00:00"
    assert [run.run_id for run in view.runs] == world.submitted
    assert (await world.row(cron_id)).pending == ()


async def test_run_is_a_workflow_of_the_crons_metadata_and_spec(world):
    crons = await world.started()
    document = cron()
    cron_id = await crons.submit_cron(document)
    await crons.trigger_cron(cron_id)
    run = world.documents[0]
    assert (run.kind, run.api_version) == ("Workflow", "aether/v1")
    assert run.metadata == document.metadata
    assert run.spec == document.spec.workflow_spec
    assert await crons.get_document(cron_id) == document


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"schedule": "0 0 31 2 *"}, "bad-schedule"),
        ({"schedule": "every day"}, "bad-schedule"),
        ({"timezone": "Mars/Olympus"}, "unknown-timezone"),
    ],
)
async def test_schedule_that_cannot_be_followed_is_refused_and_leaves_nothing(world, spec, code):
    crons = await world.started()
    with pytest.raises(Refused) as caught:
        await crons.submit_cron(cron(**spec))
    assert caught.value.code == code
    assert await world.store.crons() == []


async def test_id_that_is_taken_is_refused(world):
    crons = await world.started()
    await crons.submit_cron(cron())
    again = world.engine()
    again._ids._next = 1
    again._ids._prefix = "e0-"
    with pytest.raises(Refused) as caught:
        await again.submit_cron(cron())
    assert caught.value.code == "cron-exists"


async def test_crons_are_listed_without_their_runs(world):
    crons = await world.started()
    first = await crons.submit_cron(cron(name="first"))
    await crons.submit_cron(cron(name="second", suspend=True))
    await crons.trigger_cron(first)
    listed = await crons.list_crons()
    assert [(view.name, view.suspended, len(view.runs)) for view in listed] == [
        ("first", False, 0),
        ("second", True, 0),
    ]
    assert listed[1].next_fire_at is None


async def test_unknown_cron_is_not_found_by_every_call(world):
    crons = await world.started()
    calls = [
        crons.get_cron("nobody"),
        crons.get_document("nobody"),
        crons.update_cron("nobody", cron()),
        crons.delete_cron("nobody"),
        crons.suspend_cron("nobody"),
        crons.resume_cron("nobody"),
        crons.trigger_cron("nobody"),
        crons.backfill_cron("nobody", 0, 1),
    ]
    for call in calls:
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.code == "cron-not-found"


async def test_run_that_is_deleted_while_the_cron_is_read_is_left_out(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await crons.trigger_cron(cron_id)
    get = world.get

    async def gone(run_id):
        await world.store.delete(run_id)
        return await get(run_id)

    crons._get = gone
    assert (await crons.get_cron(cron_id)).runs == []


# Update and delete


async def test_update_changes_the_schedule_at_once(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron("0 * * * *"))
    await crons.update_cron(cron_id, cron("*/20 * * * *"))
    await world.clock.advance(timedelta(minutes=45))
    assert await world.runs(cron_id) == ["2026-05-04T11:20", "2026-05-04T11:40"]
    assert (await crons.get_cron(cron_id)).schedule == "*/20 * * * *"


async def test_update_may_not_change_the_workflow(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    with pytest.raises(Refused) as caught:
        await crons.update_cron(cron_id, cron(command="shell"))
    assert caught.value.code == "cron-spec-changed"
    await crons.update_cron(cron_id, await crons.get_document(cron_id))


async def test_update_that_is_refused_changes_nothing(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    with pytest.raises(Refused):
        await crons.update_cron(cron_id, cron("0 0 30 2 *"))
    await world.clock.advance(timedelta(hours=1))
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]


async def test_update_can_suspend_and_resume(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(suspend=True))
    await world.clock.advance(timedelta(hours=2))
    await crons.update_cron(cron_id, cron(catch_up="all"))
    await world.clock.advance(timedelta(hours=1))
    assert await world.runs(cron_id) == ["2026-05-04T14:00"]


async def test_deleted_cron_fires_no_more_and_its_runs_stay(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await world.clock.advance(timedelta(hours=1))
    await crons.delete_cron(cron_id)
    await world.clock.advance(timedelta(hours=3))
    crons.run_ended(cron_id)
    await crons.drain()
    assert await world.runs(cron_id) == ["2026-05-04T12:00"]
    assert await crons.list_crons() == []


# Suspend


async def test_suspended_cron_does_not_fire_and_says_so_when_triggered(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await crons.suspend_cron(cron_id)
    await crons.suspend_cron(cron_id)
    await world.clock.advance(timedelta(hours=3))
    answer = await crons.trigger_cron(cron_id)
    assert (answer.run_id, answer.reason) == ("", "the cron is suspended")
    assert await world.runs(cron_id) == []


@pytest.mark.parametrize("catch_up", ["none", "last", "all"])
async def test_resumed_cron_fires_from_the_next_fire_on(world, catch_up):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(catch_up=catch_up))
    await crons.suspend_cron(cron_id)
    await world.clock.advance(timedelta(hours=3))
    await crons.resume_cron(cron_id)
    await crons.refresh()
    await world.clock.advance(timedelta(hours=1))
    assert await world.runs(cron_id) == ["2026-05-04T15:00"]


# Trigger


async def test_two_triggers_under_forbid_make_one_run(world):
    crons = await world.started(scheduler=ManualScheduler())
    cron_id = await crons.submit_cron(cron(concurrency_policy="Forbid"))
    first = await crons.trigger_cron(cron_id)
    await world.clock.advance(timedelta(milliseconds=300))
    second = await crons.trigger_cron(cron_id)
    assert first.run_id
    assert (second.run_id, second.reason) == (
        "", f"run {first.run_id} is not over and the policy is Forbid")  # fmt: skip
    await world.end(first.run_id)
    assert (await crons.trigger_cron(cron_id)).run_id


async def test_trigger_under_replace_cancels_the_active_run_first(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(concurrency_policy="Replace"))
    first = await crons.trigger_cron(cron_id)
    second = await crons.trigger_cron(cron_id)
    assert world.cancelled == [first.run_id]
    assert second.run_id != first.run_id
    assert (await world.store.run(second.run_id)).phase is Phase.RUNNING


async def test_run_that_cannot_be_cancelled_is_reported_and_the_new_one_starts(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(concurrency_policy="Replace"))
    await crons.trigger_cron(cron_id)

    async def stubborn(run_id):
        raise Refused(Problem("stubborn", "it will not go"))

    crons._fires._cancel = stubborn
    assert (await crons.trigger_cron(cron_id)).run_id
    assert any("it will not go" in reason for reason in world.reasons)


async def test_triggers_at_one_instant_are_two_runs_under_allow(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    answers = [await crons.trigger_cron(cron_id), await crons.trigger_cron(cron_id)]
    assert len({answer.run_id for answer in answers}) == 2
    assert {answer.fire_at for answer in answers} == {world.clock.now()}


async def test_trigger_for_an_instant_gives_that_instant_one_run(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(starting_deadline_seconds=1))
    wanted = at("2026-05-04T07:00")
    first = await crons.trigger_cron(cron_id, wanted)
    second = await crons.trigger_cron(cron_id, wanted)
    assert first.run_id == second.run_id
    assert second.reason == "the run of this fire exists"
    assert await world.runs(cron_id) == ["2026-05-04T07:00"]


async def test_trigger_does_not_move_what_the_clock_owes(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    await crons.trigger_cron(cron_id, at("2026-05-04T12:00"))
    await crons.trigger_cron(cron_id)
    row = await world.row(cron_id)
    assert row.last_fire_at is None
    await world.clock.advance(timedelta(hours=2))
    assert (await world.row(cron_id)).last_fire_at == at("2026-05-04T13:00")
    assert await world.runs(cron_id) == [
        "2026-05-04T11:00", "2026-05-04T12:00", "2026-05-04T13:00"]  # fmt: skip


async def test_trigger_outside_the_window_says_so(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(
        cron(start_at="2026-05-05T00:00:00Z", end_at="2026-05-06T00:00:00Z")
    )
    assert "before startAt" in (await crons.trigger_cron(cron_id)).reason
    await world.clock.advance(timedelta(days=3))
    assert "after endAt" in (await crons.trigger_cron(cron_id)).reason


async def test_trigger_raises_what_submit_raised_and_leaves_no_claim(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())

    async def refuse(run_id):
        raise Refused(Problem("template-missing", "there is no template 'x'"))

    world.before_submit = refuse
    with pytest.raises(Refused) as caught:
        await crons.trigger_cron(cron_id)
    assert caught.value.code == "template-missing"
    assert (await world.row(cron_id)).pending == ()


# Backfill


async def test_backfill_fires_for_each_instant_of_the_window_oldest_first(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    start, end = at("2026-05-04T06:00"), at("2026-05-04T09:00")
    answers = await crons.backfill_cron(cron_id, start, end)
    assert [moment(answer.fire_at)[-5:] for answer in answers] == [
        "06:00",
        "07:00",
        "08:00",
        "09:00",
    ]
    assert world.submitted == [answer.run_id for answer in answers]
    again = await crons.backfill_cron(cron_id, start, end)
    assert {answer.reason for answer in again} == {"the run of this fire exists"}
    assert len(world.submitted) == 4


async def test_backfill_obeys_the_concurrency_policy(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(concurrency_policy="Forbid"))
    answers = await crons.backfill_cron(cron_id, at("2026-05-04T06:00"), at("2026-05-04T08:00"))
    assert [bool(answer.run_id) for answer in answers] == [True, False, False]


async def test_backfill_of_too_long_a_window_fires_nothing(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron("* * * * *"))
    start, end = at("2026-05-04T06:00"), at("2026-05-04T08:00")
    with pytest.raises(Refused) as caught:
        await crons.backfill_cron(cron_id, start, end)
    assert caught.value.code == "backfill-too-long"
    assert world.submitted == []
    assert len(await crons.backfill_cron(cron_id, start, end, limit=200)) == 121


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-05-04T08:00", "2026-05-04T07:00"), ("2026-05-04T08:00", "2026-05-04T12:00")],
)
async def test_backfill_of_a_window_that_makes_no_sense_is_refused(world, start, end):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron())
    with pytest.raises(Refused) as caught:
        await crons.backfill_cron(cron_id, at(start), at(end))
    assert caught.value.code == "bad-window"


# History


async def test_old_runs_are_deleted_when_runs_end(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(
        cron(successful_jobs_history_limit=2, failed_jobs_history_limit=0)
    )
    for phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.SUCCEEDED, Phase.CANCELLED, Phase.SUCCEEDED):
        await world.clock.advance(timedelta(hours=1))
        await world.end(world.submitted[-1], phase)
        crons.run_ended(cron_id)
        await crons.drain()
    assert await world.runs(cron_id) == ["2026-05-04T14:00", "2026-05-04T16:00"]


async def test_old_runs_are_deleted_after_a_submit_too(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(cron(successful_jobs_history_limit=0))
    first = await crons.trigger_cron(cron_id)
    await world.end(first.run_id)  # and nobody says so
    second = await crons.trigger_cron(cron_id)
    await crons.drain()
    assert await world.store.run(first.run_id) is None
    assert await world.store.run(second.run_id) is not None


async def test_runs_that_go_on_are_never_deleted(world):
    crons = await world.started()
    cron_id = await crons.submit_cron(
        cron(successful_jobs_history_limit=0, failed_jobs_history_limit=0)
    )
    await world.clock.advance(timedelta(hours=5))
    assert len(await world.runs(cron_id)) == 5


async def test_engine_may_hand_in_its_own_way_of_deleting(world):
    deleted = []

    async def delete(run_id):
        deleted.append(run_id)

    crons = await world.started(delete=delete)
    cron_id = await crons.submit_cron(cron(successful_jobs_history_limit=0))
    answer = await crons.trigger_cron(cron_id)
    await world.end(answer.run_id)
    crons.run_ended(cron_id)
    await crons.drain()
    assert deleted == [answer.run_id]


async def test_run_that_another_engine_deleted_first_harms_nothing(world):
    async def gone(run_id):
        raise NotFound(Problem("run-not-found", f"there is no run '{run_id}'"))

    crons = await world.started(delete=gone)
    cron_id = await crons.submit_cron(cron(successful_jobs_history_limit=0))
    await world.end((await crons.trigger_cron(cron_id)).run_id)
    crons.run_ended(cron_id)
    await crons.drain()
    await world.clock.advance(timedelta(hours=1))
    assert await world.runs(cron_id) == ["2026-05-04T11:00", "2026-05-04T12:00"]
    assert world.reasons == []


async def test_end_of_a_run_without_a_cron_does_nothing(world):
    crons = await world.started()
    crons.run_ended("")
    crons.run_ended("nobody")
    await crons.drain()
    assert world.reasons == []


async def test_stored_text_keeps_the_order_of_members(world):
    crons = await world.started()
    document = cron()
    metadata = replace(document.metadata, labels={"z": "1", "a": "2"})
    cron_id = await crons.submit_cron(replace(document, metadata=metadata))
    assert list((await crons.get_document(cron_id)).metadata.labels) == ["z", "a"]
