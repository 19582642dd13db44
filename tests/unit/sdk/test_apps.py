"""Apps: up and down, on loops and in threads."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from aether import Aether, Context, InvalidState, WaitTimeout


def double_of(app: Aether):
    @app.workflow("double")
    async def double(ctx: Context, n: int) -> int:
        return await ctx.step("double", lambda: 2 * n)

    return double


def test_an_app_that_nobody_starts_starts_with_its_first_run_and_stops_with_the_loop():
    app = Aether("memory:")
    double = double_of(app)
    assert asyncio.run(double.start_and_wait(2)) == 4
    assert not app._life.opened
    assert asyncio.run(double.start_and_wait(3)) == 6


def test_a_file_is_open_again_at_once_after_the_loop_has_ended(tmp_path):
    app = Aether(f"sqlite:///{tmp_path}/a.db")
    double = double_of(app)
    assert asyncio.run(double.start_and_wait(2, id="one")) == 4

    async def look() -> int:
        async with app:
            return await app.handle("one", int).result()

    assert asyncio.run(look()) == 4


async def test_serve_returns_so_that_the_same_script_starts_and_waits():
    app = Aether("memory:")
    double = double_of(app)
    try:
        await app.serve([double])
        assert await double.start_and_wait(2) == 4
    finally:
        await app.stop()


async def test_entering_an_app_that_is_up_already_is_harmless_and_leaving_stops_it():
    app = Aether("memory:")
    double = double_of(app)
    await double.start_and_wait(1)
    async with app:
        assert await double.start_and_wait(2) == 4
    assert not app._life.opened


async def test_many_first_starts_at_once_start_the_app_once():
    app = Aether("memory:")
    double = double_of(app)
    results = await asyncio.gather(*(double.start_and_wait(n) for n in range(20)))
    assert results == [2 * n for n in range(20)]
    await app.stop()


async def test_an_app_serves_again_after_its_stop_with_its_executors():
    app = Aether("memory:")

    @app.executor("greet")
    def greet(name: str) -> dict[str, str]:
        return {"text": f"Hello, {name}!"}

    @app.workflow
    async def hello(ctx: Context) -> str:
        return (await ctx.activity("greet", name="Ada"))["text"]

    for _ in range(2):
        async with app:
            assert await hello.start_and_wait(id="one") == "Hello, Ada!"


async def test_lifespan_is_what_asgi_frameworks_take():
    app = Aether("memory:")
    double = double_of(app)
    async with app.lifespan(object()):
        assert app._life.opened
        assert await double.start_and_wait(2) == 4
    assert not app._life.opened


def test_blocking_calls_from_many_threads():
    app = Aether("memory:")
    double = double_of(app)
    results: dict[int, int] = {}
    with app.sync as sync:

        def ask(n: int) -> None:
            results[n] = sync.start_and_wait(double, n)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {n: 2 * n for n in range(8)}


def test_blocking_handles_signal_ask_and_wait():
    app = Aether("memory:")

    @app.workflow
    async def adds(ctx: Context) -> int:
        total = 0

        def add(n: int) -> int:
            nonlocal total
            total += n
            return total

        ctx.on_update("add", add)
        ctx.on_query("total", lambda: total)
        await ctx.wait_for("done")
        return total

    with app.sync as sync:
        handle = sync.start(adds, id="one")
        assert sync.start(adds.options(id="one")).id == "one"
        assert handle.update("add", 2) == 2
        assert handle.query("total") == 2
        with pytest.raises(WaitTimeout):
            handle.result(timeout=0.01)
        handle.pause()
        handle.unpause()
        handle.signal("done")
        assert sync.handle("one", int).result() == 2
        assert handle.status().status == "Succeeded"
        assert handle.history()


async def test_an_app_that_is_up_elsewhere_says_so():
    app = Aether("memory:")
    double = double_of(app)
    with app.sync as sync:
        assert await asyncio.to_thread(sync.start_and_wait, double, 2) == 4
        with pytest.raises(InvalidState) as caught:
            await double.start(2)
    assert caught.value.code == "other-loop"


async def test_what_was_unfinished_is_finished_before_the_app_is_left(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    app = Aether(url)
    begun, may_end = asyncio.Event(), asyncio.Event()

    @app.activity
    async def slow() -> str:
        begun.set()
        await may_end.wait()
        return "done"

    @app.workflow
    async def long(ctx: Context) -> str:
        return await slow()

    await long.start(id="one")
    await begun.wait()
    await app.stop(timedelta(0))
    may_end.set()
    async with app:
        pass  # it was found, and is waited for
    async with app:
        assert (await app.handle("one").status()).status == "Succeeded"
