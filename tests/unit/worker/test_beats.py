"""Heartbeats leave the worker newest first, not too often, and always before the end is reported."""

import asyncio
from datetime import timedelta

from aether.adapters.threads import ThreadPool
from aether.ports import Outcome
from unit.worker.test_worker import behaving, shop, task


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_a_heartbeat_tells_reaches_the_engine():
    async def behave(request):
        request.beat(b"half")

    async with shop(behaving(behave)) as at:
        await at.run(task())
        assert at.events.beats == [b"half"]


async def test_many_heartbeats_at_once_become_the_first_and_the_last():
    async def behave(request):
        for row in range(1000):
            request.beat(str(row).encode())
            if not row:
                await turns()

    async with shop(behaving(behave)) as at:
        await at.run(task())
        assert at.events.beats == [b"0", b"999"]


async def test_heartbeat_without_details_does_not_hide_the_details_before_it():
    async def behave(request):
        request.beat(b"half")
        request.beat(None)

    async with shop(behaving(behave)) as at:
        await at.run(task())
        assert at.events.beats == [b"half"]


async def test_last_heartbeat_comes_before_the_failure_it_preceded():
    async def behave(request):
        request.beat(b"first")
        await turns()
        request.beat(b"last")
        raise ConnectionError

    async with shop(behaving(behave)) as at:
        await at.run(task())
        assert at.events.beats == [b"first", b"last"]


async def test_heartbeats_go_out_again_once_the_pause_is_over():
    go_on = asyncio.Event()

    async def behave(request):
        request.beat(b"one")
        await turns()
        request.beat(b"two")
        await go_on.wait()

    async with shop(behaving(behave)) as at:
        running = asyncio.ensure_future(at.run(task()))
        await turns()
        assert at.events.beats == [b"one"]
        await at.clock.advance(timedelta(seconds=0.1))
        await turns()
        assert at.events.beats == [b"one", b"two"]
        go_on.set()
        await running


async def test_thread_may_send_heartbeats():
    pool = ThreadPool(1)

    async def behave(request):
        await pool(lambda: request.beat(b"from a thread"))
        return Outcome()

    async with shop(behaving(behave)) as at:
        await at.run(task())
        assert at.events.beats == [b"from a thread"]
    pool.close()


async def test_execution_whose_delivery_is_over_hears_of_it_from_its_heartbeat():
    async def behave(request):
        while True:
            request.beat(b"still here")
            await asyncio.sleep(0)

    async with shop(behaving(behave)) as at:
        work = task()
        running = asyncio.ensure_future(at.run(work))
        await turns()
        at.broker._held.pop((work.task_run_id, work.fence))
        await at.clock.advance(timedelta(seconds=0.1))
        (result,) = await running
        assert result.outcome.error_type == "cancelled"
