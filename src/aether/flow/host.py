"""FunctionHost: the executor of one workflow function; and the Runtime that all hosts of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..errors import Problem, Refused, StoreError, Superseded
from ..ports import RECORDED, Clock, ErrorSink, Fault, Fence, Journal, Offload, Outcome, Request
from ..record import Schema, TaskRow
from .blocking import BlockingContext
from .cache import ParkedRuns
from .calls import StepCall
from .context import Context
from .definition import WorkflowDefinition
from .history import Misfit
from .limits import declared
from .recorder import DROPPED, ENDED, PARKED
from .run import FlowRun

_FIRST = Fence(1, 1)
_LISTEN_AFTER = 100_000  # microseconds after which a run wants to hear of its cancellation
_LONGEST_NAP = 60_000_000
_STUBBORN: list[Any] = []  # functions that never end: letting go of one would run it again


class Runtime:
    """What function runs share in a process: ports, the functions, the runs that live or are parked here.

    `offload` runs plain steps. `threads` runs plain workflow functions and their parallel branches: each
    keeps its thread for as long as it waits here, and they wait for each other, so it must have a thread for
    each and every one of them.
    `memory` bounds what parked functions may keep, in bytes, roughly. `stand_in`, for tests, is asked for
    the function of each step that begins.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        offload: Offload,
        threads: Offload,
        errors: ErrorSink | None = None,
        memory: int = 64 << 20,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.offload = offload
        self.threads = threads
        self.stand_in: Callable[[StepCall], Callable[..., Any]] | None = None
        self._errors = errors
        self._functions: dict[str, WorkflowDefinition] = {}
        self._live: dict[str, FlowRun] = {}
        self._parked = ParkedRuns(memory)
        self._young: dict[FlowRun, None] = {}
        self._older: dict[FlowRun, None] = {}
        self._sweeps = False  # the clock is to call `_sweep`

    def register(self, definition: WorkflowDefinition) -> FunctionHost:
        """The executor for `definition`; a later definition of a name replaces the earlier one."""
        self._functions[definition.name] = definition
        return FunctionHost(self, definition)

    def workflow_of(self, target: Any) -> WorkflowDefinition | None:
        """The workflow that `target` names, or whose function it is."""
        if isinstance(target, str):
            return self._functions.get(target)
        for definition in self._functions.values():
            if definition.function is target:
                return definition
        return None

    def report(self, run_id: str, what: str, error: BaseException | None) -> None:
        if self._errors is not None:
            fault = Fault(
                operation=what,
                what=str(error) if error is not None else "it failed",
                next="the run is taken up again from its record",
                run_id=run_id,
            )
            with suppress(Exception):  # a sink never changes the course of a run
                self._errors.on_error(fault, error)

    def keep_stubborn(self, run_id: str, coroutines: list[Any]) -> None:
        """They catch everything and go on: kept until the process ends, they at least run no more."""
        _STUBBORN.extend(coroutines)
        what = "the function catches BaseException and goes on; it was put away and can never end"
        self.report(run_id, "put a function away", RuntimeError(what))

    # -- one delivery

    async def execute(
        self, definition: WorkflowDefinition, run_id: str, fence: Fence, inputs: bytes | None
    ) -> None:
        """Runs, or goes on with, the function until it parks, ends, or its delivery does not count."""
        await self._clear_the_way(run_id)
        run = self._parked.take(run_id, fence)
        nap = 1_000_000
        while True:
            if run is not None:
                run.resume(fence)
            else:
                rows = None if fence == _FIRST and nap == 1_000_000 else await self._rows(run_id)
                run = self._make(definition, run_id, fence, inputs, rows)
                run.owner = asyncio.current_task()
                self._live[run_id] = run
                run.start(_main)
            if await self._lived(run) != DROPPED or run.superseded:
                return
            run = None  # a fault: the record knows how far it came
            await self._nap(nap)
            nap = min(2 * nap, _LONGEST_NAP)

    async def _lived(self, run: FlowRun) -> str:
        self._live[run.run_id] = run
        run.owner = asyncio.current_task()
        if not run.ended.done():
            self._young[run] = None
            if not self._sweeps:
                self._sweeps = True
                self.clock.call_in(_LISTEN_AFTER, self._sweep)
        try:
            state = await run.ended
            if run.is_plain:
                if state == PARKED:
                    run.detach()
                await run.threads.unwound()
        except asyncio.CancelledError:
            run.drop()
            raise
        finally:
            run.owner = None
            self._young.pop(run, None)
            self._older.pop(run, None)
            if self._live.get(run.run_id) is run:
                del self._live[run.run_id]
        if not run.is_plain:
            if state == PARKED:
                self._parked.put(run)
            elif state == ENDED:
                run.release()
        return state

    def _make(
        self,
        definition: WorkflowDefinition,
        run_id: str,
        fence: Fence,
        inputs: bytes | None,
        rows: Sequence[TaskRow] | None,
        *,
        reading: bool = False,
    ) -> FlowRun:
        run = FlowRun(self, definition, run_id, fence, inputs, rows, reading=reading)
        if definition.is_async:
            run.context = Context(run)
        else:
            run.blocking = BlockingContext(run)
        return run

    async def _clear_the_way(self, run_id: str) -> None:
        """A delivery that came before this one is over, or parks this instant."""
        before = self._live.get(run_id)
        while before is not None:
            if not before.parking:
                before.drop()
            await asyncio.wait([before.ended])
            if before.is_plain:
                await before.threads.unwound()
            await asyncio.sleep(0)
            before = self._live.get(run_id)

    async def _rows(self, run_id: str) -> Sequence[TaskRow]:
        """The record, once it can be read: a store that is away is no failure of the run."""
        nap = 1_000_000
        while True:
            try:
                return await self.journal.rows(run_id)
            except StoreError as error:
                self.report(run_id, "read the record of a function", error)
            await self._nap(nap)
            nap = min(2 * nap, _LONGEST_NAP)

    async def _nap(self, span: int) -> None:
        over = asyncio.Event()
        alarm = self.clock.call_in(span, over.set)
        try:
            await over.wait()
        finally:
            alarm.cancel()

    def _sweep(self) -> None:
        """Runs that have lived for a while hear of cancellations; most are over before."""
        for run in self._older:
            run.listen()
        self._older, self._young = self._young, {}
        self._sweeps = bool(self._older)
        if self._sweeps:
            self.clock.call_in(_LISTEN_AFTER, self._sweep)

    # -- reading

    async def query(
        self, definition: WorkflowDefinition, run_id: str, name: str, inputs: bytes | None
    ) -> bytes:
        """What the run's handler for query `name` says: of the live run, or of one that is led to the end
        of the record and put away. Nothing is recorded."""
        run = self._live.get(run_id) or self._parked.look(run_id)
        if run is not None and not run.detached:
            return run.answer(name, inputs)
        rows = await self.journal.rows(run_id)
        run = await self._read(definition, run_id, rows)
        try:
            if run.misfit is not None:
                raise Refused(Problem("code-does-not-fit", run.misfit.text, fix=_FIT))
            return run.answer(name, inputs)
        finally:
            run.drop()

    async def misfit_of(
        self, definition: WorkflowDefinition, run_id: str, rows: Sequence[TaskRow]
    ) -> Misfit | None:
        """Where `definition` parts from `rows`; None when it can go on from them."""
        run = await self._read(definition, run_id, rows)
        run.drop()
        return run.misfit

    async def fits(
        self, definition: WorkflowDefinition, run_id: str, rows: Sequence[TaskRow]
    ) -> str:
        """The same in words; "" when it fits."""
        misfit = await self.misfit_of(definition, run_id, rows)
        return "" if misfit is None else misfit.text

    async def _read(
        self, definition: WorkflowDefinition, run_id: str, rows: Sequence[TaskRow]
    ) -> FlowRun:
        run = self._make(definition, run_id, Fence(0, 0), rows[0].inputs, rows, reading=True)
        run.start(_main)
        await run.ended
        return run

    def forget(self) -> None:
        """Drops every function that is parked here; their runs go on from their records."""
        self._parked.clear()


_FIT = "deploy code that fits the record, or guard the change with ctx.patched"


class FunctionHost:
    """Runs the tasks of type `workflow:<name>`: deliveries of runs of one workflow function."""

    def __init__(self, runtime: Runtime, definition: WorkflowDefinition) -> None:
        self.runtime = runtime
        self.definition = definition
        self._schema = Schema(
            type=f"workflow:{definition.name}",
            version=definition.version,
            limits=declared(definition.limits),
        )

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome:
        fence = Fence(request.epoch, request.delivery)
        with suppress(Superseded):
            await self.runtime.execute(self.definition, request.run_id, fence, request.encoded)
        return Outcome(RECORDED)

    async def query(self, run_id: str, name: str, inputs: bytes | None = None) -> bytes:
        """See Runtime.query. Raises NotFound `no-handler`, or what the handler raises."""
        return await self.runtime.query(self.definition, run_id, name, inputs)


async def _main(run: FlowRun) -> Any:
    """The function, and what undoes its steps when it fails."""
    definition = run.definition
    try:
        args, kwargs = definition.signature.call_arguments(run.inputs)
        if definition.is_async:
            return await definition.function(run.context, *args, **kwargs)
        return await run.threads.call(definition.function, (run.blocking, *args), kwargs)
    except (Exception, asyncio.CancelledError) as error:
        if run.compensations and not run.detached:
            await _compensate(run, error)
        raise


async def _compensate(run: FlowRun, error: BaseException) -> None:
    """In reverse order. One that fails is told with the error, and the others go on. A cancellation that
    comes now changes nothing: what it interrupts is begun again."""
    interrupted = False
    while run.compensations:
        compensation = run.compensations.pop()
        try:
            await compensation()
        except asyncio.CancelledError:
            if interrupted:
                raise
            interrupted = True
            run.compensations.append(compensation)
        except Exception as failure:  # noqa: BLE001 - the others must have their chance
            error.add_note(f"and what was to undo it failed: {type(failure).__name__}: {failure}")
