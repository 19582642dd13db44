"""Crons wired into a whole engine: their fires are runs like any other."""

from __future__ import annotations

from msgspec.structs import replace

from aether.adapters.cron import ManualScheduler
from aether.adapters.errors import CollectingSink
from aether.adapters.store.memory import MemoryStore
from aether.app import Aether
from aether.document import (
    ExecutorRef,
    Metadata,
    Task,
    Template,
    TemplateRef,
    WorkflowSpec,
    WorkflowTemplate,
)
from aether.record import Phase
from unit.engine.cron_world import at, cron

HOUR = 3_600_000_000
FIRST = at("2026-05-04T12:00")


def app_with(scheduler, store=None):
    return Aether(
        "memory:",
        store=store or MemoryStore(),
        cron_scheduler=scheduler,
        error_sink=CollectingSink(),
    )


async def settled(app, cron_id):
    """The cron, when nothing of it is in progress."""
    await app.engine._crons.drain()
    return await app.get_cron(cron_id)


async def test_fire_is_a_run_and_old_runs_go():
    scheduler = ManualScheduler()
    async with app_with(scheduler) as app:
        cron_id = await app.submit_cron(cron())
        for number in range(6):
            assert scheduler.fire(cron_id, FIRST + number * HOUR)
            view = await settled(app, cron_id)
            run = await app.wait(view.last_run_id)
            assert (run.status, run.cron_id, run.name) == (Phase.SUCCEEDED, cron_id, "report")
        view = await settled(app, cron_id)
        expected = [f"{cron_id}-{(FIRST + n * HOUR) // 1_000_000}" for n in (3, 4, 5)]
        assert [run.run_id for run in view.runs] == expected


async def test_replace_cancels_a_run_that_waits():
    scheduler = ManualScheduler()
    async with app_with(scheduler) as app:
        cron_id = await app.submit_cron(cron(command="await", concurrency_policy="Replace"))
        first = await app.trigger_cron(cron_id)
        second = await app.trigger_cron(cron_id)
        assert (await app.wait(first.run_id)).status is Phase.CANCELLED
        assert not (await app.get(second.run_id)).status.is_terminal


async def test_claim_of_an_engine_that_died_becomes_a_run_of_the_next():
    store = MemoryStore()
    async with app_with(ManualScheduler(), store) as app:
        cron_id = await app.submit_cron(cron())
    row = await store.cron(cron_id)
    run_id = f"{cron_id}-{FIRST // 1_000_000}"
    claimed = replace(row, last_fire_at=FIRST, pending=((run_id, FIRST, None),))
    await store.put_cron(claimed, row.token)
    async with app_with(ManualScheduler(), store) as app:
        view = await settled(app, cron_id)
        assert view.last_run_id == run_id
        assert (await app.wait(run_id)).status is Phase.SUCCEEDED


async def test_reference_without_a_version_means_the_latest_at_each_fire():
    def stored(output):
        main = Task(name=output, executor=ExecutorRef(type="echo"))
        spec = WorkflowSpec(entrypoint=output, templates=(Template(task=main),))
        return WorkflowTemplate(metadata=Metadata(name="etl"), spec=spec)

    async with app_with(ManualScheduler()) as app:
        await app.put_template(stored("old"))
        document = cron()
        spec = WorkflowSpec(workflow_template_ref=TemplateRef(name="etl"))
        document = replace(document, spec=replace(document.spec, workflow_spec=spec))
        cron_id = await app.submit_cron(document)
        before = await app.wait((await app.trigger_cron(cron_id)).run_id)
        await app.put_template(stored("new"))
        after = await app.wait((await app.trigger_cron(cron_id)).run_id)
        assert [run.tasks[0].task_name for run in (before, after)] == ["old", "new"]
