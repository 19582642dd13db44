"""Blocking callers have their coroutines run on a loop of their own."""

import asyncio
import threading

import pytest

from aether.adapters.loop_thread import LoopThread
from aether.errors import InvalidState


@pytest.fixture
def thread():
    made = LoopThread()
    yield made
    made.close()


def test_call_returns_what_the_coroutine_returns(thread):
    async def answer():
        return 42

    assert thread.call(answer) == 42


def test_call_raises_what_the_coroutine_raises(thread):
    async def fail():
        raise KeyError("a")

    with pytest.raises(KeyError):
        thread.call(fail)


def test_all_calls_share_one_loop(thread):
    async def loop():
        return asyncio.get_running_loop()

    assert thread.call(loop) is thread.call(loop)


def test_call_from_the_loop_itself_is_refused_instead_of_hanging(thread):
    async def nothing(): ...

    async def inside():
        thread.call(nothing)

    with pytest.raises(InvalidState) as caught:
        thread.call(inside)
    assert caught.value.code == "blocking-call"


def test_close_cancels_what_still_runs_and_ends_the_thread():
    thread = LoopThread("closing")
    ended = threading.Event()

    async def begin():
        async def forever():
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        task = asyncio.get_running_loop().create_task(forever())
        await asyncio.sleep(0)
        return task

    thread.call(begin)
    thread.close()
    thread.close()
    assert ended.is_set()
    assert "closing" not in {t.name for t in threading.enumerate()}


def test_call_after_close_begins_a_new_loop(thread):
    async def loop():
        return asyncio.get_running_loop()

    first = thread.call(loop)
    thread.close()
    assert thread.call(loop) is not first
