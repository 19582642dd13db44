"""Programs made by chance out of what a workflow function can do, and what each comes to.

In: a number. Out: a program, the function that performs it, its result as the program alone says it. Never:
a result that depends on who was faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from ...flow import Retry
from ..chance import Chance

NAME = "program"
PROGRAMS = 100_000
GENERATIONS = 2

Node = tuple[str, str, Any]
"""Kind, name, and the rest: a number, or the nodes below."""

_LEAVES = (
    *("step", "step", "step", "plain", "drawn", "flaky", "doomed", "noted"),
    *("sleep", "nap", "wait", "wait", "activity", "activity", "child", "map"),
)
_NODES = ("seq", "seq", "gather", "group", "parallel", "race", "timeout", "caught")
_UNSURE = frozenset({"race", "timeout", "caught"})


class Doomed(Exception):
    """What a program raises that is to fail."""


class Deeds(Protocol):
    """What steps do."""

    async def work(self, run_id: str, name: str) -> str: ...

    def plain_work(self, run_id: str, name: str) -> str: ...

    async def flaky_work(self, run_id: str, name: str) -> str: ...

    def feature(self, name: str) -> None: ...


class Program:
    """`ending` is "" for one that returns, "fails", or "continues"."""

    def __init__(self, number: int, generation: int = 0) -> None:
        chance = Chance(f"program {number} {generation}")
        self.number = number
        self.generation = generation
        self._chance = chance
        self._count = 0
        self.tree = self._node(0)
        self.ending = chance.one_of(("", "", "", "", "fails", "continues"))
        if self.ending == "continues" and generation >= GENERATIONS:
            self.ending = ""

    def _node(self, depth: int) -> Node:
        chance = self._chance
        self._count += 1
        kinds = _NODES if depth == 0 else _LEAVES + _NODES if depth < 3 else _LEAVES
        kind = chance.one_of(kinds)
        if kind == "child" and self.number % 4:
            kind = "step"  # children of children of children would never end
        name = f"{kind}-{self._count}"
        if kind in ("timeout", "caught"):
            span = chance.one_of((0.5, 5, 600))
            return kind, name, (span, self._node(depth + 1))
        if kind in _NODES:
            return kind, name, [self._node(depth + 1) for _ in range(chance.one_of((1, 2, 3)))]
        return kind, name, chance.randrange(4)

    def nodes(self) -> Iterator[Node]:
        return _below(self.tree)

    @property
    def result(self) -> Any:
        """What the function returns."""
        return _promised(self.tree)


def _below(node: Node) -> Iterator[Node]:
    yield node
    kind, _, rest = node
    if kind in ("timeout", "caught"):
        yield from _below(rest[1])
    elif kind in _NODES:
        for inner in rest:
            yield from _below(inner)


def _promised(node: Node) -> Any:
    kind, name, rest = node
    if kind in _UNSURE:
        return "one way or the other"
    if kind in _NODES:
        return [_promised(inner) for inner in rest]
    if kind == "map":
        return list(range(rest * 2))
    return name


def program_of(deeds: Deeds) -> Callable[..., Any]:
    """The workflow function, in a process whose steps do `deeds`."""

    async def program(ctx: Any, number: int, generation: int = 0) -> Any:
        made = Program(number, generation)
        deeds.feature(f"ends {made.ending or 'well'}")

        async def added(n: int) -> int:
            await ctx.step("added", deeds.work, ctx.run_id, f"added {n}")
            return n + 1

        ctx.on_update("add", added)
        if made.ending == "fails":
            ctx.compensate_with(_undo, "first")
            ctx.compensate_with(_undo, "second")
        result = await _perform(ctx, deeds, made.tree)
        if made.ending == "fails":
            raise Doomed("as it was to be")
        if made.ending == "continues":
            ctx.continue_as_new(number, generation + 1)
        return result

    return program


def _undo(what: str) -> str:
    return what


async def _perform(ctx: Any, deeds: Deeds, node: Node) -> Any:
    kind, name, rest = node
    deeds.feature(kind)
    return await KINDS[kind](ctx, deeds, name, rest)


async def _step(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    return await ctx.step(name, deeds.work, ctx.run_id, name)


async def _plain(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    return await ctx.step(name, deeds.plain_work, ctx.run_id, name)


async def _drawn(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    drawn = f"{ctx.random()} {ctx.uuid()} {ctx.now()}"
    await ctx.step(f"{name} {drawn}", deeds.work, ctx.run_id, f"{name} {drawn}")
    return name


async def _flaky(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    try:
        retry = Retry(3, initial=(0.01, 0.5, 3, 20)[rest])
        await ctx.step(name, deeds.flaky_work, ctx.run_id, name, retry=retry)
    except OSError:
        await ctx.step(f"{name} given up", deeds.work, ctx.run_id, f"{name} given up")
    return name


async def _doomed(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    def fail() -> None:
        raise Doomed(name)

    try:
        await ctx.step(name, fail)
    except Exception as error:
        if str(error) != name:
            raise
    return name


async def _noted(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    ctx.set_status({"at": name})
    ctx.set_attributes(at=name)
    if ctx.patched(name):
        await ctx.step(name, deeds.work, ctx.run_id, name)
    return name


async def _sleep(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    await ctx.sleep((0.01, 2, 40, 300)[rest])
    return name


async def _nap(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    await asyncio.sleep(rest / 10 + 0.05)
    return name


async def _wait(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    with suppress(TimeoutError):
        await ctx.wait_for(f"go-{rest}", timeout=None if rest < 2 else "10s")
    return name


async def _activity(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    try:
        await ctx.activity("echo", p0=name, retry=Retry(rest + 1, initial=0.5), timeout="30s")
    except Exception:  # noqa: BLE001 - whatever it answered
        await ctx.step(f"{name} failed", deeds.work, ctx.run_id, f"{name} failed")
    return name


async def _child(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    try:
        await ctx.child(NAME, number=1 + 4 * rest)
    except Exception:  # noqa: BLE001 - it may be one that fails, and somebody may cancel it
        await ctx.step(f"{name} failed", deeds.work, ctx.run_id, f"{name} failed")
    return name


async def _map(ctx: Any, deeds: Deeds, name: str, rest: int) -> Any:
    return await ctx.map(name, lambda n: n, range(rest * 2), limit=2)


async def _seq(ctx: Any, deeds: Deeds, name: str, rest: list[Node]) -> Any:
    return [await _perform(ctx, deeds, inner) for inner in rest]


async def _gather(ctx: Any, deeds: Deeds, name: str, rest: list[Node]) -> Any:
    return await asyncio.gather(*(_perform(ctx, deeds, inner) for inner in rest))


async def _group(ctx: Any, deeds: Deeds, name: str, rest: list[Node]) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_perform(ctx, deeds, inner)) for inner in rest]
    return [task.result() for task in tasks]


async def _parallel(ctx: Any, deeds: Deeds, name: str, rest: list[Node]) -> Any:
    branches = [lambda inner=inner: _perform(ctx, deeds, inner) for inner in rest]
    return await ctx.parallel(branches, limit=2)


async def _race(ctx: Any, deeds: Deeds, name: str, rest: list[Node]) -> Any:
    tasks = [asyncio.create_task(_perform(ctx, deeds, inner)) for inner in rest]
    await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return "one way or the other"


async def _timeout(ctx: Any, deeds: Deeds, name: str, rest: tuple[float, Node]) -> Any:
    try:
        async with asyncio.timeout(rest[0]):
            await _perform(ctx, deeds, rest[1])
    except TimeoutError:
        pass
    return "one way or the other"


async def _caught(ctx: Any, deeds: Deeds, name: str, rest: tuple[float, Node]) -> Any:
    try:
        await asyncio.wait_for(_perform(ctx, deeds, rest[1]), rest[0])
    except TimeoutError:
        await ctx.step(f"{name} late", deeds.work, ctx.run_id, f"{name} late")
    return "one way or the other"


KINDS: dict[str, Callable[..., Any]] = {
    "step": _step,
    "plain": _plain,
    "drawn": _drawn,
    "flaky": _flaky,
    "doomed": _doomed,
    "noted": _noted,
    "sleep": _sleep,
    "nap": _nap,
    "wait": _wait,
    "activity": _activity,
    "child": _child,
    "map": _map,
    "seq": _seq,
    "gather": _gather,
    "group": _group,
    "parallel": _parallel,
    "race": _race,
    "timeout": _timeout,
    "caught": _caught,
}
