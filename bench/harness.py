"""An engine on the memory store with a no-op worker, wired for speed as a server would be."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

from aether.app import Aether
from aether.ports import Outcome, Request, Schema

T = TypeVar("T")


class NoOp:
    """Gives nothing back at once: what is left is the engine."""

    schema = Schema(type="noop")

    async def execute(self, request: Request) -> Outcome:
        return Outcome()


class Uneven:
    """Takes 0 to 4 ms, the same ones in every measurement, so that runs do not move in step."""

    schema = Schema(type="noop")

    def __init__(self) -> None:
        self._chance = Random(1)

    async def execute(self, request: Request) -> Outcome:
        await asyncio.sleep(self._chance.random() * 0.004)
        return Outcome()


@asynccontextmanager
async def open_app() -> AsyncIterator[Aether]:
    app = Aether("memory:")
    app.register(NoOp())
    async with app:
        settle_collector()
        yield app


def settle_collector() -> None:
    """What a server does after its start: what lives for ever is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def run(main: Coroutine[Any, Any, T]) -> T:
    """On uvloop where there is one, as the server does."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def in_flight(n: int, lanes: int, one: Callable[[], Awaitable[object]]) -> None:
    """`one` n times, `lanes` at a time."""
    left = n

    async def lane() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    await asyncio.gather(*(lane() for _ in range(lanes)))


def hand_overs(n: int, lanes: int) -> float:
    """The limit for `n` tasks in memory: a second of bare futures handed between coroutines, a rate."""

    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def one() -> None:
            future: asyncio.Future[None] = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

        began = loop.time()
        await in_flight(n, lanes, one)
        return n / (loop.time() - began)

    return run(main())


def workflow(*templates: dict[str, Any]) -> dict[str, Any]:
    """A document whose entry is `main`."""
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "bench"},
        "spec": {"entrypoint": "main", "templates": list(templates)},
    }


def chain(length: int) -> dict[str, Any]:
    tasks = [
        {
            "name": f"t{i}",
            "executor": {"type": "noop"},
            **({"dependencies": [f"t{i - 1}"]} if i else {}),
        }
        for i in range(length)
    ]
    return workflow({"dag": {"name": "main", "tasks": tasks}})


def fan_out(width: int) -> dict[str, Any]:
    tasks = [{"name": f"t{i}", "executor": {"type": "noop"}} for i in range(width)]
    return workflow({"dag": {"name": "main", "tasks": tasks}})


def loop_over(count: int) -> dict[str, Any]:
    return workflow(
        {"loop": {"name": "main", "items": list(range(count)), "body": "body"}},
        {"task": {"name": "body", "executor": {"type": "noop"}}},
    )


WAIT = timedelta(minutes=5)
