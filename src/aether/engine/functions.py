"""The engine's calls about runs of functions: they begin, hear signals and updates, and give a result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..errors import Problem, Refused, WaitTimeout
from ..plan import (
    EXECUTOR_OF_FUNCTION,
    CodeServed,
    FunctionPlan,
    FunctionState,
    RunSubmitted,
    SignalReceived,
    TimePassed,
    UpdateRequested,
    continued_as,
    decode_child,
)
from ..ports import (
    Clock,
    Commit,
    Committed,
    FunctionStart,
    IdGenerator,
    Journal,
    RunEnd,
    RunQuery,
    Schema,
    Store,
)
from ..record import (
    SNAPSHOT,
    ChildOptions,
    Phase,
    RunRow,
    RunRows,
    TaskRow,
    as_mapping,
)
from .children import Starter, function_of
from .documents import Documents, Prepared, check_arguments
from .faults import Faults
from .limited import ends_with_parent, slots_of, there_already
from .refusals import unknown
from .runs import Runs
from .tiers import Tiers, known_tier

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_PAGE = 200


class Functions:
    """The part of `Engine` that runs functions; `Engine` sets these members. See `ports.FunctionRuns`."""

    _clock: Clock
    _documents: Documents
    _faults: Faults
    _ids: IdGenerator
    _runs: Runs
    _schemas: dict[str, Schema]
    _store: Store
    _tier: str
    _tiers: Tiers | None
    _must_run: Callable[[str], None]

    @property
    def journal(self) -> Journal:
        """Where workers of this process record what functions do."""
        return self._runs.journal

    async def start_function(self, start: FunctionStart) -> str:
        """Begin a run of a function, or find the one of that id."""
        self._must_run("start_function")
        run_id = start.run_id or self._ids.generate("Workflow", start.name)
        if start.singleton:
            await self._runs.recovery.finished()  # until then nobody knows who holds the key
            if there := self._runs.gate.single(start.singleton, run_id):
                return there_already(start, there)
        try:
            await self._begin_function(start, run_id)
        except Refused as error:
            if error.code != "run-exists" or not start.run_id:
                raise
            await self._attach(start, error)
        finally:
            self._runs.gate.begun(start.singleton, run_id)
        return run_id

    async def _begin_function(
        self,
        start: FunctionStart,
        run_id: str,
        parent: str = "",
        tier: str = "",
        above: RunRow | None = None,
    ) -> None:
        named = start.tier or tier
        kept = known_tier(named, self._tiers is not None) if named else self._tier
        plan, document = self._documents.function(start.name, start.version)
        now = self._clock.now()
        begins = now + start.delay
        if start.at is not None:
            begins = max(begins, (start.at - _EPOCH) // _MICROSECOND)
        row = RunRow(
            run_id=run_id,
            name=start.name,
            document=document[0],
            arguments=start.inputs,
            labels=dict(start.labels) if start.labels else None,
            parent=parent,
            created_at=now,
            tier=kept,
            deadline_at=begins + start.timeout if start.timeout else None,
            due_at=begins if begins > now else None,
            slots=slots_of(start, self._schemas.get(EXECUTOR_OF_FUNCTION + start.name), above),
        )
        await self._runs.begin(RunSubmitted(row, now), plan, document)

    async def _attach(self, start: FunctionStart, exists: Refused) -> None:
        """What an id that is taken means. Raises Refused `run-exists` or `id-conflict`."""
        run = await self._store.run(start.run_id)
        if run is None:  # it is about to be created, by somebody who was faster
            await self._runs.request(start.run_id, TimePassed(self._clock.now()))
            run = await self._store.run(start.run_id)
        if run is None:
            raise exists
        if run.name != start.name or not await self._is_function(run):
            what = f"there is a run '{run.run_id}' of '{run.name}', and not of '{start.name}'"
            raise Refused(Problem("id-conflict", what, fix="choose another id"))
        if (run.arguments or b"") != (start.inputs or b""):
            what = f"there is a run '{run.run_id}' of '{run.name}' with other inputs"
            fix = "choose another id, or start it with the same inputs to attach to it"
            raise Refused(Problem("id-conflict", what, fix=fix))
        if start.on_existing == "fail":
            raise exists
        if start.on_existing == "restart_failed" and run.phase in _UNSUCCESSFUL:
            await self._restart(start, run)

    async def _restart(self, start: FunctionStart, run: RunRow) -> None:
        """Keep the failed run under another id, `<id>~<n>`, and begin anew under its own."""
        await self._put_aside(run)
        await self._begin_function(start, run.run_id, tier=run.tier)

    async def _is_function(self, run: RunRow) -> bool:
        plan = self._documents.known_plan(run.document)
        if plan is None:
            text = await self._store.document(run.document)
            if text is None:
                return False
            plan = await self._documents.plan_of(run.document, text)
        return isinstance(plan, FunctionPlan)

    async def end(self, run_id: str, timeout: timedelta | float | None = None) -> RunEnd:
        """How the run ended: where it was continued as another, that one. Waits for it."""
        self._must_run("end")
        span = _micros(timeout)
        until = None if span is None else self._clock.now() + span
        asked, left = run_id, span
        while True:
            rows = await self._runs.wait(run_id, left)
            run = rows.run if rows is not None else await self._store.run(run_id)
            if run is None:
                raise unknown(asked)
            following = continued_as(run)
            if not following or await self._store.run(following) is None:
                return RunEnd(run_id, run.phase, run.message, run.outputs)
            run_id = following
            left = None if until is None else max(0, until - self._clock.now())

    # Signals and updates

    async def signal(
        self, run_id: str, name: str, payload: bytes | None = None, key: str = ""
    ) -> None:
        """Recorded once this returns. `payload` is encoded NamedValues."""
        self._must_run("signal")
        await self._runs.request(run_id, SignalReceived(name, payload, self._clock.now(), key))

    async def update(
        self,
        run_id: str,
        name: str,
        payload: bytes | None = None,
        key: str = "",
        timeout: timedelta | float | None = None,
    ) -> bytes | None:
        """The function's answer. Raises Refused `update-refused`, and WaitTimeout: it is answered all
        the same, and asking again with the same `key` finds the answer."""
        self._must_run("update")
        key = key or self._ids.generate("Workflow", name)
        await self._runs.request(run_id, UpdateRequested(name, payload, self._clock.now(), key))
        late = _Alarm(self._clock, _micros(timeout))
        with self._runs.changes(run_id) as changes:
            while True:
                row = await self._update_row(run_id, key)
                if row is not None and row.phase.is_terminal:
                    return _answer_of(run_id, row)
                if not await late.before(changes.next()):
                    raise _no_answer(run_id, name, timeout)

    async def _update_row(self, run_id: str, key: str) -> TaskRow | None:
        live = self._runs.held(run_id)
        state = None if live is None else live.state
        if isinstance(state, FunctionState) and state.keys.get(key) in state.nodes:
            return None  # it is open
        rows = (await self._store.load([run_id]))[0]
        if rows is None:
            raise unknown(run_id)
        for row in rows.tasks.values():
            if row.kind == "update" and row.template_name == key:
                return row
        return None

    async def code_served(self, name: str) -> None:
        """New code for this function is served: runs that are stuck try again."""
        self._must_run("code_served")
        query = RunQuery(name=name, phases=(Phase.READY, Phase.RUNNING), limit=_PAGE)
        while True:
            page = await self._store.runs(query)
            for run in page.runs:
                if run.message and await self._is_function(run):
                    await self._runs.request(run.run_id, CodeServed(self._clock.now()))
            if not page.cursor:
                return
            query = msgspec.structs.replace(query, after=page.cursor)

    def _version_served(self, executor: str) -> str:
        """The version of a function's code, as whoever serves it has announced it."""
        schema = self._schemas.get(executor)
        return "" if schema is None else schema.version

    async def _put_aside(self, run: RunRow) -> None:
        """Copy the rows of a run that is over to another id, and delete it. Its log is not kept: it is
        that of another id."""
        rows = (await self._store.load([run.run_id]))[0]
        text = await self._store.document(run.document)
        if rows is None or text is None:
            return
        number = 1
        while (there := await self._store.run(f"{run.run_id}~{number}")) is not None:
            if there.created_at == run.created_at:
                break  # it was copied before, by somebody who did not get to the end
            number += 1
        if there is None:
            kept = rows.run
            kept.run_id = f"{run.run_id}~{number}"
            kept.tier, kept.head, kept.signature = SNAPSHOT, b"", b""
            kept.attributes = {**(kept.attributes or {}), "restarted-as": run.run_id}
            commit = Commit(
                run_id=kept.run_id,
                expected=None,
                run=kept,
                tasks=list(rows.tasks.values()),
                document=(kept.document, text),
                outside=True,
            )
            [outcome] = await self._store.commit([commit])
            if not isinstance(outcome, Committed):
                raise Refused(
                    Problem(
                        "run-exists", f"the run '{kept.run_id}' was made meanwhile", fix="again"
                    )
                )
        await self._store.delete(run.run_id)
        self._runs.forget(run.run_id)


class ChildStarter(Starter):
    """What the relay's children need of the engine."""

    def __init__(
        self,
        begin_function: Callable[..., Any],
        begin_document: Callable[..., Any],
        documents: Documents,
        store: Store,
        cancel: Callable[..., Any],
        runs: Runs,
        version_served: Callable[[str], str],
    ) -> None:
        self._version_served = version_served
        self._runs = runs
        self._begin_function = begin_function
        self._begin_document = begin_document
        self._documents = documents
        self._store = store
        self._cancel = cancel

    async def begin_child(self, parent: RunRow, row: TaskRow, child: str, told: str) -> None:
        options = decode_child(row.options) if row.options else ChildOptions()
        function, template = function_of(row)
        if template:
            await self._begin_template(template, parent, row, child, told, options)
            return
        name, _, version = function.partition("@")
        timeout, labels = options.timeout, options.labels
        version = version or self._version_served(row.executor)
        if row.kind == "continue":
            version = await self._version_of(parent)
            labels = parent.labels or {}
            if parent.deadline_at is not None:
                timeout = parent.deadline_at - parent.created_at
        start = FunctionStart(
            name=name,
            version=version,
            inputs=row.inputs,
            timeout=timeout,
            labels=labels or None,
            limits=options.limits or None,
        )
        above = parent if ends_with_parent(row, options) else None
        await self._begin_function(start, child, told, parent.tier, above)

    async def _version_of(self, run: RunRow) -> str:
        plan = self._documents.known_plan(run.document)
        return plan.version if isinstance(plan, FunctionPlan) else ""

    async def _begin_template(
        self,
        template: str,
        parent: RunRow,
        row: TaskRow,
        child: str,
        told: str,
        options: ChildOptions,
    ) -> None:
        prepared: Prepared = await self._documents.prepare(template)
        arguments = check_arguments(prepared.document, as_mapping(row.inputs))
        await self._begin_document(
            prepared,
            child,
            arguments,
            options.labels or None,
            tier=parent.tier,
            parent=told,
            above=parent if ends_with_parent(row, options) else None,
        )

    async def run(self, run_id: str) -> RunRow | None:
        return await self._store.run(run_id)

    async def rows(self, run_id: str) -> RunRows | None:
        return (await self._store.load([run_id]))[0]

    async def cancel(self, run_id: str, by: str = "the user") -> None:
        await self._cancel(run_id, by)

    async def elsewhere(self, run: RunRow) -> None:
        if not self._runs.holds(run):
            await self._runs.wait(run.run_id, None)


class _Alarm:
    """The end of somebody's patience, by the engine's clock."""

    def __init__(self, clock: Clock, span: int | None) -> None:
        self._clock = clock
        self._until = None if span is None else clock.now() + span

    async def before(self, change: Coroutine[Any, Any, None]) -> bool:
        """Whether `change` came in time."""
        if self._until is None:
            await change
            return True
        task = asyncio.ensure_future(change)
        late: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        handle = self._clock.call_in(
            max(0, self._until - self._clock.now()),
            lambda: None if late.done() else late.set_result(None),
        )
        try:
            await asyncio.wait([task, late], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            handle.cancel()
            task.cancel()


def _answer_of(run_id: str, row: TaskRow) -> bytes | None:
    if row.phase is Phase.SUCCEEDED:
        return row.outputs
    what = f"run {run_id} refused the update '{row.task_name}': {row.message}"
    raise Refused(Problem("update-refused", what, fix="see what the function accepts"))


def _no_answer(run_id: str, name: str, timeout: timedelta | float | None) -> WaitTimeout:
    what = f"run {run_id} did not answer the update '{name}' within {timeout}s; it still will"
    return WaitTimeout(Problem("update-timeout", what, fix="ask again with the same key"))


def _micros(timeout: timedelta | float | None) -> int | None:
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        return timeout // _MICROSECOND
    return int(timeout * 1_000_000)


_UNSUCCESSFUL = (Phase.FAILED, Phase.ERROR, Phase.TIMEOUT, Phase.CANCELLED)
