"""Clients: they submit, look, cancel, pause, resume and delete at random, and remember what they were told.

What a client was told must be true of the store from that moment on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...engine import Engine
from ...errors import NotFound, ProblemError, StoreError
from ...ports import Execution, RunQuery
from ...record import Phase, task_run_id
from ..documents import random_document
from .crons import CronClients
from .functions import FunctionClients, FunctionWatch
from .model import PROGRAM, Rules, Shadow
from .world import EngineLife, World

_OPEN = tuple(phase for phase in Phase if not phase.is_terminal)
DOCUMENTS = 100_000
_NOT_RESUMED = ("workflow", "activity")
"""Functions wait like this; what they wait for is told to somebody else."""

Answer = Callable[[Any, Exception | None], None]


class Clients:
    def __init__(self, world: World, documents: list[int] | None = None) -> None:
        self.world = world
        self.chance = world.chance.child("clients")
        self.pace = self.chance.one_of((20_000, 100_000, 1_000_000, 5_000_000))
        self.most = self.chance.one_of((4, 12, 40))  # runs under way at once
        self.crons = CronClients(world)
        watch = world.functions
        assert isinstance(watch, FunctionWatch)
        self.functions = FunctionClients(world, watch)
        self.submitted: dict[str, dict[str, Any]] = {}
        self._tiers: dict[str, str] = {}
        self.acknowledged: dict[str, None] = {}
        self._asked: dict[str, int] = {}  # submits without an answer, and the engine that was asked
        self._count = 0
        self._actions: tuple[tuple[int, Callable[[], None]], ...] = (
            (14, self.submit),
            (3, self.cancel),
            (4, self.pause),
            (4, self.unpause),
            (14, self.resume),
            (5, self.look),
            (3, self.wait),
            (2, self.watch),
            (2, self.browse),
            (3, self.delete),
            (4, self.crons.act),
            (9, self.start_function),
            (6, self.functions.signal),
            (3, self.functions.update),
        )
        self._weights = [weight for weight, _ in self._actions]

    def start(self) -> None:
        self.world.loop.call_in(self.chance.span(1, self.pace), self._tick)

    def _tick(self) -> None:
        if self.world.healing:
            return
        if not self.world.up():  # as many events as possible are to be work
            self.world.loop.call_in(self.chance.span(1, max(self.pace, 1_000_000)), self._tick)
            return
        self.chance.choices(self._actions, self._weights)[0][1]()
        self.start()

    # Choosing

    def a_run(self, *, over: bool = False) -> tuple[str, Shadow] | None:
        found = [
            (run_id, shadow)
            for run_id, shadow in self.world.model.runs.items()
            if shadow.rows.run.phase.is_terminal == over
        ]
        return self.chance.one_of(found) if found else None

    # Calls

    def submit(self) -> None:
        if self._are_enough():
            return
        number = self.chance.randrange(DOCUMENTS)
        document, features = random_document(number)
        self._count += 1
        run_id = f"c{self._count}"
        document["metadata"]["name"] = f"random-{run_id}"
        # The default of an hour would end what is stuck before anybody sees that it is.
        document["spec"].setdefault("timeout", "24h")
        self.world.saw("workload")
        for feature in features:
            self.world.saw(f"feature {feature}")
        self.world.model.rules[document["metadata"]["name"]] = Rules(document)
        self.submitted[run_id] = document
        self._tiers[run_id] = self._tier(run_id)
        self._submit(run_id, first=True)

    def _are_enough(self) -> bool:
        runs, world = self.world.model.runs, self.world
        under_way = sum(not shadow.rows.run.phase.is_terminal for shadow in runs.values())
        under_way += len(world.loose.under_way())
        # A store that does not answer must not pile them up either.
        self._asked = {r: n for r, n in self._asked.items() if n == world.lives and r not in runs}
        return under_way + len(self._asked) >= self.most

    def _tier(self, run_id: str) -> str:
        if not self.world.tiered:
            return ""
        tier = self.chance.one_of(("", "", "", "snapshot", "snapshot", "memory"))
        self.world.saw(f"tier {tier or 'log'}")
        self.world.loose.begins(run_id, tier)
        return tier

    def start_function(self) -> None:
        if not self._are_enough() and not self.world.alone:
            self.functions.start(self._tier(f"f{self.functions.count + 1}"))

    def _submit(self, run_id: str, *, first: bool) -> None:
        world, document = self.world, self.submitted[run_id]
        lives, tier = world.lives, self._tiers[run_id]

        def answered(result: Any, error: Exception | None) -> None:
            self._asked.pop(run_id, None)
            if error is None:
                self.acknowledged[run_id] = None
                world.must_exist(run_id, tier)
            elif isinstance(error, StoreError):
                if not world.healing:
                    self._submit(run_id, first=False)  # what one does when nothing is known
            elif isinstance(error, ProblemError) and error.code == "run-exists":
                if first and lives == world.lives:
                    world.breach(f"{run_id} was refused, though its id is new")
                if not tier:
                    world.must_exist(run_id)
            elif isinstance(error, ProblemError) and error.code != "engine-stopped":
                world.breach(f"{run_id} was refused: {error}")

        if world.call(lambda engine: engine.submit(document, run_id=run_id, tier=tier), answered):
            self._asked[run_id] = world.lives
            world.saw("call submit")

    def cancel(self) -> None:
        if (chosen := self.a_run()) is None:
            return
        run_id = chosen[0]
        # A function that is not forced may clean up before it ends.
        force = chosen[1].is_function and self.chance.happens(0.3)

        def answered(result: Any, error: Exception | None) -> None:
            shadow = self.world.model.runs.get(run_id)
            if shadow is None or (shadow.is_function and not force):
                return
            phase = shadow.rows.run.phase
            if error is None and phase is not Phase.CANCELLED:
                self.world.breach(f"{run_id}: cancel was acknowledged, and it is {phase}")
            if _code(error) == "run-over" and not phase.is_terminal:
                self.world.breach(f"{run_id}: cancel was refused as over, and it is {phase}")

        self._ask("cancel", lambda engine: engine.cancel(run_id, force=force), answered)

    def pause(self) -> None:
        if (chosen := self.a_run()) is None:
            return
        run_id, since = chosen[0], self.world.loop.now

        def answered(result: Any, error: Exception | None) -> None:
            shadow = self.world.model.runs.get(run_id)
            if shadow is None or error is not None:
                return
            if shadow.was_paused < since and shadow.rows.run.paused_at is None:
                self.world.breach(f"{run_id}: pause was acknowledged, and it never was paused")

        self._ask("pause", lambda engine: engine.pause(run_id), answered)

    def unpause(self) -> None:
        paused = self.paused()
        if paused:
            self._unpause(self.chance.one_of(paused))

    def _unpause(self, run_id: str) -> None:
        self._ask("unpause", lambda engine: engine.unpause(run_id), _nothing)

    def paused(self) -> list[str]:
        runs = self.world.model.runs.items()
        return [
            run_id
            for run_id, shadow in runs
            if shadow.rows.run.paused_at is not None and not shadow.rows.run.phase.is_terminal
        ]

    def suspended(self) -> list[tuple[str, int]]:
        return [
            (run_id, row.ordinal)
            for run_id, shadow in self.world.model.runs.items()
            if not shadow.rows.run.phase.is_terminal
            for row in shadow.rows.tasks.values()
            if row.phase is Phase.SUSPENDED and row.kind not in _NOT_RESUMED
        ]

    def resume(self) -> None:
        waiting = self.suspended()
        if waiting:
            self.resume_one(*self.chance.one_of(waiting))
            if self.chance.happens(0.2):
                self.resume_one(*self.chance.one_of(waiting))  # perhaps a second time

    def resume_one(self, run_id: str, ordinal: int) -> None:
        shadow = self.world.model.runs[run_id]
        before = shadow.resumed.get(ordinal, 0)

        def answered(result: Any, error: Exception | None) -> None:
            if shadow.is_function and shadow.rows.tasks[ordinal].phase.is_terminal:
                return  # a wait took the payload
            if error is None and shadow.resumed.get(ordinal, 0) <= before:
                self.world.breach(f"{run_id}.{ordinal}: resume was acknowledged, and did nothing")

        self._resume(run_id, ordinal, answered)

    def _resume(self, run_id: str, ordinal: int, answered: Answer) -> None:
        task_id = task_run_id(run_id, ordinal)
        payload = {"answer": 1}
        self._ask("resume", lambda engine: engine.resume(run_id, task_id, payload), answered)

    def look(self) -> None:
        if (chosen := self.a_run(over=self.chance.happens(0.3))) is None:
            return
        run_id = chosen[0]
        self._ask("get", lambda engine: engine.get(run_id), self._seen(run_id))

    def _seen(self, run_id: str) -> Answer:
        since = self.world.model.runs[run_id].rows.run.seq if self._known(run_id) else 0

        def answered(execution: Execution | None, error: Exception | None) -> None:
            if execution is not None:
                self.compare_view(run_id, execution, since)

        return answered

    def _known(self, run_id: str) -> bool:
        return run_id in self.world.model.runs

    def compare_view(self, run_id: str, execution: Execution, since: int) -> None:
        shadow = self.world.model.runs.get(run_id)
        if shadow is None:
            return
        if execution.seq < since:
            self.world.breach(f"{run_id}: shown at seq {execution.seq}, stored before was {since}")
        phases = shadow.phases.get(execution.seq)
        shown = tuple(str(task.status) for task in execution.tasks)
        if phases is not None and phases != shown:
            self.world.breach(
                f"{run_id}: shown at seq {execution.seq} as {shown}, stored was {phases}"
            )
        if not execution.status.is_terminal and not execution.waiting_for:
            self.world.breach(f"{run_id} is {execution.status} and shows no reason to wait")

    def wait(self) -> None:
        if (chosen := self.a_run()) is None:
            return
        run_id = chosen[0]
        seconds = self.chance.span(1_000, 60_000_000) / 1_000_000

        def answered(execution: Execution | None, error: Exception | None) -> None:
            if execution is not None and not execution.status.is_terminal:
                self.world.breach(f"{run_id}: wait returned while it is {execution.status}")

        self._ask("wait", lambda engine: engine.wait(run_id, seconds), answered)

    def watch(self) -> None:
        if (chosen := self.a_run()) is None:
            return
        run_id = chosen[0]
        world = self.world

        async def follow(engine: Engine) -> None:
            last = -1
            execution = None
            born = world.model.births[run_id]
            async for execution in engine.watch(run_id):
                if execution.seq < last and world.model.births[run_id] == born:
                    world.breach(f"{run_id}: a watch went back to seq {execution.seq}")
                last = execution.seq
                self.compare_view(run_id, execution, 0)
            if execution is None or not execution.status.is_terminal:
                world.breach(f"{run_id}: a watch ended before the run")

        self._ask("watch", follow, _nothing)

    def browse(self) -> None:
        async def every_page(engine: Engine) -> None:
            cursor = ""
            while True:
                page = await engine.list(RunQuery(limit=5, after=cursor))
                cursor = page.cursor
                if not cursor:
                    return

        self._ask("list", every_page, _nothing)

    def delete(self) -> None:
        if (chosen := self.a_run(over=True)) is not None:
            self._ask("delete", lambda engine: engine.delete(chosen[0]), _nothing)

    def _ask(self, name: str, work: Callable[[Engine], Any], then: Answer) -> None:
        world = self.world

        def answered(result: Any, error: Exception | None) -> None:
            world.saw(f"call {name}" if error is None else f"call {name} refused")
            if isinstance(error, NotFound) and error.code != "run-not-found":
                world.breach(f"{name}: {error}")
            then(result, error)

        world.call(work, answered)

    # After the faults

    def help_on(self) -> None:
        """Resume what waits for somebody, unpause what is paused, submit what was never answered."""
        for run_id in self.paused():
            self._unpause(run_id)
        for run_id, ordinal in self.suspended():
            self.resume_one(run_id, ordinal)
        self.functions.help_on()
        self._help_loose()

    def _help_loose(self) -> None:
        """Likewise runs without a log; nobody knows what those of tier `memory` wait for."""
        loose = self.world.loose
        for run_id, rows in loose.under_way().items():
            if rows.run.paused_at is not None:
                self._unpause(run_id)
            if rows.run.name == PROGRAM:
                self.functions.help_one(run_id, rows.tasks.values())
            for row in rows.tasks.values():
                if row.phase is Phase.SUSPENDED and row.kind not in _NOT_RESUMED:
                    self._resume(run_id, row.ordinal, _nothing)
        for life in self.world.up() if loose.volatile else ():
            self._end_volatile(life)

    def _end_volatile(self, life: EngineLife) -> None:
        loose = self.world.loose

        async def end(engine: Engine) -> None:
            for run in (await engine.list(RunQuery(phases=_OPEN, limit=200))).runs:
                if loose.knows(run.run_id) and run.run_id not in loose.runs:
                    with suppress(ProblemError):
                        await engine.cancel(run.run_id, force=True)

        self.world.call(end, _nothing, life)


def _code(error: Exception | None) -> str:
    return error.code if isinstance(error, ProblemError) else ""


def _nothing(result: Any, error: Exception | None) -> None:
    """Nobody looks at this answer."""
