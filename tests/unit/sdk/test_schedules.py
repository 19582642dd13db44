"""Workflows that run by themselves."""

from __future__ import annotations

import asyncio

import pytest

from aether import Aether, Context


def nightly(url: str, **schedule) -> Aether:
    app = Aether(url)

    @app.workflow("nightly", **{"cron": "0 3 * * *", **schedule})
    async def report(ctx: Context, day: str = "today") -> str:
        return f"all is well {day}"

    return app


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/a.db"


async def only(app: Aether):
    [cron] = await app.list_crons()
    return cron


async def test_a_fire_is_a_run_with_the_arguments_of_the_schedule():
    async with nightly("memory:", inputs={"day": "tomorrow"}) as app:
        answer = await app.trigger_cron((await only(app)).cron_id)
        run = await app.wait(answer.run_id, timeout=10)
        assert run.output_values == {"result": "all is well tomorrow"}


async def test_the_same_schedule_stays_as_it_is_over_restarts(url):
    async with nightly(url, catch_up="last", timezone="Europe/Berlin", jitter="5s") as app:
        before = await app._store.cron((await only(app)).cron_id)
    async with nightly(url, catch_up="last", timezone="Europe/Berlin", jitter="5s") as app:
        assert await app._store.cron((await only(app)).cron_id) == before


async def test_a_changed_schedule_takes_the_place_of_the_old_one_and_stays_suspended(url):
    async with nightly(url) as app:
        await app.suspend_cron((await only(app)).cron_id)
    async with nightly(url, cron="0 4 * * *") as app:
        cron = await only(app)
        assert (cron.schedule, cron.suspended) == ("0 4 * * *", True)


async def test_changed_inputs_are_those_of_the_next_fire(url):
    async with nightly(url, inputs={"day": "today"}):
        pass
    async with nightly(url, inputs={"day": "tomorrow"}) as app:
        answer = await app.trigger_cron((await only(app)).cron_id)
        run = await app.wait(answer.run_id, timeout=10)
        assert run.output_values == {"result": "all is well tomorrow"}


async def test_apps_that_start_together_on_one_store_make_one_cron():
    app = nightly("memory:")
    await app.serve()
    life = app._life
    await asyncio.gather(*(life.code.schedule(app.workflows().values()) for _ in range(5)))
    await only(app)
    await app.stop()
