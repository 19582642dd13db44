"""The smaller ports of a simulated engine: executors, a notifier, a sink, ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ...ports import Fault, HookEvent, IdKind, Outcome, Request, Schema
from ...record import NamedValue
from ..chance import Chance
from .faults import Faults
from .loop import SimLoop

OUTPUTS = ("p0", "p1", "p2")
VALUES: tuple[Any, ...] = (1, 2, 7, 1.5, "a", "7", "true", True, False, [1, 2], ["a"], {"k0": 1})


class SinkDown(Exception):
    """What a sink, a notifier or an executor raises."""


class Release:
    """Whoever hangs waits for this: when the faults stop, they go on."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._waiting: list[asyncio.Future[None]] = []
        self.open = False

    async def wait(self) -> None:
        if not self.open:
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(future)
            await future

    def release(self) -> None:
        self.open = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()


class RandomExecutor:
    """Answers whatever chance says: success, failure, suspension, an exception, silence."""

    def __init__(
        self,
        executor_type: str,
        loop: SimLoop,
        chance: Chance,
        faults: Faults,
        release: Release,
        seen: Callable[[str], None],
    ) -> None:
        self._schema = Schema(type=executor_type)
        self._loop = loop
        self._chance = chance.child(f"executor {executor_type}")
        self._faults = faults
        self._release = release
        self._seen = seen
        self.trouble = self._chance.one_of((0.0, 0.1, 0.3, 0.6))
        self.longest = self._chance.one_of((1, 1_000, 500_000, 15_000_000))

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any] | None:
        self._seen("resumed task" if request.resumed else "task executed")
        chance, faults = self._chance, self._faults
        if faults.strike("executor.hangs"):
            await self._release.wait()
        elif not faults.strike("executor.blocks"):
            try:
                await asyncio.sleep(chance.span(1, self.longest) / 1_000_000)
            except asyncio.CancelledError:
                if not faults.strike("executor.stubborn"):
                    raise
                await asyncio.sleep(chance.span(1, 5_000_000) / 1_000_000)
        if faults.strike("executor.raises"):
            raise SinkDown("the executor does not feel well")
        return self._answer()

    def _answer(self) -> Outcome | Mapping[str, Any] | None:
        chance = self._chance
        outputs = {name: chance.one_of(VALUES) for name in OUTPUTS if chance.happens(0.7)}
        if not self._faults.active or not chance.happens(self.trouble):
            return outputs
        code = chance.one_of((1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 7))
        self._seen(f"code {code}")
        parameters = [NamedValue(name, "", value) for name, value in outputs.items()]
        kind = chance.one_of(("", "BadInput"))
        return Outcome(code, chance.one_of(("bad", "worse")), parameters, error_type=kind)


class RandomNotifier:
    """Delivers, raises, or takes for ever."""

    def __init__(self, faults: Faults, release: Release, told: Callable[[HookEvent], None]) -> None:
        self._faults = faults
        self._release = release
        self._told = told

    async def notify(self, event: HookEvent) -> None:
        self._told(event)
        if self._faults.strike("notifier.hangs"):
            await self._release.wait()
        if self._faults.strike("notifier.raises"):
            raise SinkDown("the notifier does not feel well")

    async def close(self) -> None:
        """Nothing is kept here."""


class RandomSink:
    """Hears of faults, and raises now and then."""

    def __init__(
        self, faults: Faults, heard: Callable[[Fault, BaseException | None], None]
    ) -> None:
        self._faults = faults
        self._heard = heard

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        self._heard(fault, error)
        if self._faults.strike("sink.raises"):
            raise SinkDown("the sink does not feel well")


class Ids:
    """The same names for the same seed, across all engines of a world."""

    def __init__(self) -> None:
        self._count = 0

    def generate(self, kind: IdKind, name: str) -> str:
        self._count += 1
        return f"{'cron' if kind == 'CronWorkflow' else 'run'}{self._count}"
