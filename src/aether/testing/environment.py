"""Environment: functions under a real engine, on a clock that skips the time in which nothing happens.

In: an app, or its workflows and activities. Out: results, after milliseconds, whatever the workflows sleep.
Never: another engine than the one that runs elsewhere, or a change of the app that it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from ..adapters.errors import CollectingSink
from ..adapters.ids import CounterIds
from ..adapters.store import MemoryStore
from ..app import Aether
from ..app.parts import store_for
from ..errors import AetherError, InvalidState, Problem
from ..flow import ActivityDefinition
from ..ports import Fault, FunctionRuns, Store
from ..record import ACTION_LOG, RunRows
from ..sdk import Activity, Handle, Workflow
from ..sdk import workflow as workflow_of
from ..sdk.executors import current_request
from ..sdk.functions import Functions, Served
from .fakes import Fake, Fakes
from .process import Process, TestApp
from .seeds import a_seed
from .signals import Signals, open_runs
from .skipping import SkippingClock
from .watched_store import Life, WatchedStore

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = 1_750_000_000_000_000
_AGES = timedelta(days=36_500)
_CALM = 3  # turns of the loop in which nobody else was ready
_TURNS = 200  # after which somebody who is always ready is not waited for
_OUTSIDE = 0.1  # seconds after which work of the user's makes the clock go as it does outside
_FUTILE = 200  # skips that changed nothing
_GRACE = 0.05  # seconds for somebody outside, before a run that waits for ever is called so


class ProcessDied(AetherError):
    """The process of the environment was killed while somebody waited for it."""


class Environment:
    """`async with Environment(app) as env: assert await env.run(order, "o-1") == …`

    It serves the workflows and activities of `served`: apps, workflows, activities. `url` is where state is
    kept, or a function that makes the store; `tier` how much of it outlives the process. While somebody
    waits for a run (`env.run`, `handle.result()`, `env.advance`) and nothing else is under way, the clock
    goes at once to what is due next. While a step or an activity works for long, it goes as outside.

    `signals` are payloads by signal, sent to whichever run waits for one of that name and has nothing
    else to do; a list holds one for each wait. `fakes` stand for activities and steps by name.
    Ids of runs, and with them what `ctx.random()` and `ctx.uuid()` give, come from `seed`.
    Schedules of workflows do not fire unless `schedules`.
    """

    def __init__(
        self,
        *served: Aether | Served,
        url: str | Callable[[], Store] = "memory:",
        tier: str = ACTION_LOG,
        signals: Mapping[str, Any] | None = None,
        fakes: Mapping[str, Any] | None = None,
        seed: int | None = None,
        start: datetime | None = None,
        schedules: bool = False,
        **options: Any,
    ) -> None:
        self.seed = a_seed(seed)
        self.clock = SkippingClock(_START if start is None else (start - _EPOCH) // _MICROSECOND)
        self.calls: list[tuple[str, str, int]] = []
        """(run id, what was called, attempt) of each step and activity, as it began."""
        self._served = list(served)
        self._store = _maker_of(url)
        self._signals = Signals(signals or {})
        self._fakes = Fakes()
        for name, function in (fakes or {}).items():
            self._fakes.add(name, function)
        self._schedules = schedules
        self._sink = CollectingSink()
        self._options = {
            "lease": _AGES,
            "error_sink": self._sink,
            "id_generator": CounterIds(f"t{self.seed}-"),
            **options,
            "tier": tier,
            "clock": self.clock,
            "finish": False,
        }
        self._process: Process | None = None
        self._dead: list[Process] = []  # a function that is collected would run its `finally`
        self._bound: list[tuple[Workflow[Any, Any], Any, Any]] = []
        self._waiting: dict[asyncio.Future[Any], None] = {}
        self._why: dict[asyncio.Future[Any], BaseException] = {}
        self._pump: asyncio.Task[None] | None = None
        self.runs: dict[str, None] = {}
        """Ids of the runs that were begun here, children included."""

    # Life

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._end()
        for workflow, runs, ready in reversed(self._bound):
            workflow._runs, workflow._ready = runs, ready
        self._bound.clear()
        store = getattr(self._store, "kept", None)
        if store is not None:
            await store.close()

    async def restart(self) -> None:
        """Kill the process and begin another on the same store, as after a crash: what was not recorded is
        lost, and runs go on from what was."""
        await self.kill()
        await self._begin()

    async def kill(self) -> None:
        """The first half of `restart`: nothing runs here until `restart`."""
        if self._process is not None:
            self._process.life.die()
            await self._end()

    async def record(self) -> list[RunRows]:
        """What the store holds of the runs that were begun here, while nothing runs."""
        store, keeps_open = self._store()
        if not keeps_open:
            await store.open()
        try:
            return [rows for rows in await store.load(list(self.runs)) if rows is not None]
        finally:
            if not keeps_open:
                await store.close()

    @property
    def app(self) -> Aether:
        """The app that runs here, for documents, handles and everything else."""
        return self._running.app

    @property
    def now(self) -> datetime:
        return _EPOCH + self.clock.now() * _MICROSECOND

    @property
    def faults(self) -> list[Fault]:
        """What the engine and the worker had to report so far."""
        return self._sink.faults

    @property
    def died(self) -> bool:
        return self._running.life.dead

    @property
    def life(self) -> Life:
        return self._running.life

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise InvalidState(
                Problem(
                    "not-started",
                    "the environment was used outside of its `async with`",
                    fix="`async with Environment(app) as env:` around the test",
                )
            )
        return self._process

    async def _begin(self) -> None:
        life = Life(self.runs)
        store, keeps_open = self._store()
        app = TestApp(
            self._passing,
            url="memory:",
            store=WatchedStore(store, life, keeps_open=keeps_open),
            **self._options,
        )
        process = self._process = Process(app, life)
        process.runtime.stand_in = self._stand_in
        for each in self._served:
            self._add(each)
        await app.start()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._signals.forget()
        if process is not None:
            await process.stop(self.clock)
            self._dead.append(process)

    # What is served

    def _add(self, served: Any) -> None:
        app = self._running.app
        if isinstance(served, Aether):
            self._running.take_executors(served)
            for each in (*served.workflows().values(), *served.activities().values()):
                self._add(each)
        elif isinstance(served, Workflow):
            if not any(workflow is served for workflow, _, _ in self._bound):
                self._bound.append((served, served._runs, served._ready))
            served.bound_to(self._do_runs, _ready)
            mine = copy(served)
            if not self._schedules:
                mine.schedule = None
            app._add_workflow(mine)
        elif isinstance(served, Activity) and served.name not in app.activities():
            app._add_activity(Activity(self._watched(served.definition)))

    def _do_runs(self) -> FunctionRuns:
        return self._running.app._do_runs()  # of the process that runs now

    def _watched(self, definition: ActivityDefinition) -> ActivityDefinition:
        """The activity, which its fake may stand for, and whose calls are noted."""
        watched = copy(definition)
        name, real = definition.name, definition.function
        threads = self._running.app._pool

        async def call(*args: Any, **kwargs: Any) -> Any:
            request = current_request()
            if request is not None:
                task = f"{name} {request.task_run_id}"
                self.calls.append((request.run_id, task, request.attempt))
            fake = self._fakes.of(name)
            if fake is not None:
                return await fake(*args, **kwargs)
            if definition.is_async:
                return await real(*args, **kwargs)
            return await threads(partial(real, *args, **kwargs))

        watched.function, watched.is_async = call, True
        return watched

    def _stand_in(self, call: Any) -> Callable[..., Any]:
        path = call.path
        self.calls.append((call.run.run_id, f"{path.name} {path.scope}", call.attempt))
        real: Callable[..., Any] = call.function
        return self._fakes.of(path.name) or real

    def fake(self, name: str, function: Any = None) -> Fake:
        """Let `function` stand for the activity or step `name`: `with env.fake("charge", lambda id: 7):`, or
        until the environment ends. Instead of a function it may be an exception to raise, or a list of
        what to return or raise, one after the other."""
        return self._fakes.add(name, function)

    # Runs

    async def start(self, workflow: Workflow[P, R] | Any, *args: Any, **kwargs: Any) -> Handle[R]:
        """Begin a run, with the options of `workflow.start`. No time passes until somebody waits."""
        served = await self._serve(workflow)
        handle: Handle[R] = await served.start(*args, **kwargs)
        handle._runs = self._do_runs  # also after a restart
        return handle

    async def run(self, workflow: Workflow[..., R] | Any, *args: Any, **kwargs: Any) -> R:
        """Run it to its end and return its result; what it failed with is raised."""
        handle: Handle[R] = await self.start(workflow, *args, **kwargs)
        return await handle.result()

    async def _serve(self, workflow: Any) -> Workflow[Any, Any]:
        if not isinstance(workflow, Workflow):
            workflow = workflow_of(workflow)
        app = self._running.app
        if workflow.name not in app.workflows():
            home = getattr(workflow._runs, "__self__", None)
            new: list[Any] = [home] if isinstance(home, Functions) else [workflow]
            self._served += new
            for each in new:
                self._add(each)
            await app._do_serve(app._workflows.values(), app._activities.values())
        served: Workflow[Any, Any] = app.workflows()[workflow.name]
        return served

    async def settle(self) -> None:
        """Let everything happen that happens without the passing of time."""
        while True:
            await self._be_still()
            if self._running.life.dead or not await self._signals.send_one(
                self._running.app.engine
            ):
                return

    async def advance(self, by: timedelta = timedelta(0), **span: float) -> None:
        """Let time pass: `await env.advance(days=30)`. What is due on the way happens, at its own instant."""
        end = self.clock.now() + (by + timedelta(**span)) // _MICROSECOND
        while True:
            await self.settle()
            due = self.clock.next_due_before(end)
            if due is None or self._running.life.dead:
                break
            self.clock.skip(due)
        self.clock.skip(max(end, self.clock.now()))
        await self.settle()

    # The passing of time

    async def _passing(self, work: Awaitable[T]) -> T:
        """`work`, while time passes as it is needed."""
        task = asyncio.ensure_future(work)
        self._waiting[task] = None
        if self._pump is None:
            self._pump = asyncio.create_task(self._pass_time(), name="aether: time passes")
        try:
            return await task
        except asyncio.CancelledError:
            why = self._why.pop(task, None)
            if why is not None:
                raise why from None
            task.cancel()
            raise
        finally:
            self._waiting.pop(task, None)

    async def _pass_time(self) -> None:
        try:
            await self._pass_it()
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            self._tell(error)
        if self._pump is asyncio.current_task():
            self._pump = None

    async def _pass_it(self) -> None:
        futile = 0
        while self._is_waited_for:
            life = self._running.life
            await self._be_still()
            if life.dead:
                self._tell(ProcessDied("the process was killed"))
                return
            if not self._is_waited_for or await self._signals.send_one(self._running.app.engine):
                continue
            due = self.clock.next_due
            if due is None or futile > _FUTILE:
                if await self._is_stuck():
                    return
                futile = 0
                continue
            before = life.commits
            self.clock.skip(due)
            await self._be_still()
            futile = 0 if life.commits != before else futile + 1

    @property
    def _is_waited_for(self) -> bool:
        return any(not task.done() for task in self._waiting)

    async def _is_stuck(self) -> bool:
        commits = self._running.life.commits
        await asyncio.sleep(_GRACE)
        if not self._is_waited_for or self._running.life.commits != commits:
            return False
        reasons = [
            f"{run.run_id}: {why}"
            for run in await open_runs(self._running.app.engine)
            for why in run.waiting_for
        ]
        self._tell(
            InvalidState(
                Problem(
                    "nothing-happens",
                    "the test waits for something that nothing here will ever bring about; "
                    f"{'; '.join(reasons) or 'no run is under way'}",
                    fix="send the signal before you wait, give it to `Environment(signals=…)`, or serve what "
                    "is not served",
                )
            )
        )
        return True

    def _tell(self, error: BaseException) -> None:
        for task in self._waiting:
            if not task.done():
                self._why[task] = error
                task.cancel()

    async def _be_still(self) -> None:
        """Until nothing is under way that does not wait for the clock."""
        loop = asyncio.get_running_loop()
        ready = getattr(loop, "_ready", ())
        process, calm, turns, since = self._running, 0, 0, loop.time()
        while calm < _CALM and turns < _TURNS and not process.life.dead:
            await asyncio.sleep(0)
            turns += 1
            if process.is_busy:
                calm = turns = 0
                await asyncio.sleep(0.0002)
                if process.is_working and (past := loop.time() - since) > _OUTSIDE:
                    since = loop.time()
                    self.clock.skip(self.clock.now() + round(past * 1_000_000))
            else:
                calm = 0 if ready else calm + 1


async def _ready() -> None:
    """The environment is up before anybody starts a run in it."""


def _maker_of(url: str | Callable[[], Store]) -> Callable[[], tuple[Store, bool]]:
    """Makes the store of each process; True: the same one, which stays open between them."""
    if callable(url):
        return lambda: (url(), False)
    if url.startswith("memory:"):
        kept = MemoryStore(history=True)

        def same() -> tuple[Store, bool]:
            return kept, True

        return same
    return lambda: (store_for(url, history=True), False)
