"""A world for crons: a clock that tests move, a store in memory, and runs that end when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aether.adapters.cron import CronsimScheduler
from aether.adapters.errors import CollectingSink
from aether.adapters.ids import CounterIds
from aether.adapters.store.memory import MemoryStore
from aether.document import (
    CronSpec,
    CronWorkflow,
    ExecutorRef,
    Metadata,
    Task,
    Template,
    WorkflowSpec,
)
from aether.engine.crons import Crons
from aether.errors import CommitUnknown, InvalidState, NotFound, Problem
from aether.ports import Commit, Execution, RunQuery
from aether.record import Phase, RunPatch, RunRow
from aether.testing import FakeClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = "2026-05-04T11:00"


def at(text):
    """`2026-05-04T11:00` in UTC, as an instant."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def moment(instant):
    return (EPOCH + timedelta(microseconds=instant)).isoformat(timespec="minutes")[:16]


def cron(schedule="0 * * * *", name="report", command="echo", **spec):
    work = WorkflowSpec(
        entrypoint="main",
        templates=(Template(task=Task(name="main", executor=ExecutorRef(type=command))),),
    )
    return CronWorkflow(
        metadata=Metadata(name=name), spec=CronSpec(schedule=schedule, workflow_spec=work, **spec)
    )


class World:
    """One store; engines over it are made by `engine`. `submit` and friends stand for the shell."""

    def __init__(self, start=START):
        self.clock = FakeClock(at(start))
        self.store = MemoryStore()
        self.errors = CollectingSink()
        self.submitted = []  # run ids, in order, repeats included
        self.documents = []
        self.cancelled = []
        self.before_submit = None
        self.engines = []
        self._tokens = 0

    def engine(self, store=None, scheduler=None, **given):
        crons = Crons(
            store=store or self.store,
            scheduler=scheduler or CronsimScheduler(self.clock, self.errors),
            clock=self.clock,
            ids=CounterIds(prefix=f"e{len(self.engines)}-"),
            errors=self.errors,
            submit=self.submit,
            cancel=self.cancel,
            get=self.get,
            **given,
        )
        self.engines.append(crons)
        return crons

    async def started(self, **given):
        crons = self.engine(**given)
        await crons.start()
        return crons

    async def stop(self):
        for crons in self.engines:
            await crons.stop()

    async def submit(self, document, *, run_id, cron_id, fire_at):
        if self.before_submit:
            await self.before_submit(run_id)
        self.submitted.append(run_id)
        self.documents.append(document)
        row = RunRow(
            run_id=run_id,
            name=document.metadata.name,
            document=b"digest",
            cron_id=cron_id,
            fire_at=fire_at,
            created_at=self.clock.now(),
            phase=Phase.RUNNING,
        )
        await self.store.commit(
            [Commit(run_id=run_id, expected=None, run=row, document=(b"digest", b"{}"))]
        )
        return run_id

    async def cancel(self, run_id):
        row = await self.store.run(run_id)
        if row is None or row.phase.is_terminal:
            raise InvalidState(Problem("run-over", f"run '{run_id}' is over"))
        self.cancelled.append(run_id)
        await self.end(run_id, Phase.CANCELLED)

    async def get(self, run_id):
        row = await self.store.run(run_id)
        if row is None:
            raise NotFound(Problem("run-not-found", f"there is no run '{run_id}'"))
        return Execution(
            run_id=run_id,
            name=row.name,
            cron_id=row.cron_id,
            status=row.phase,
            created_at=EPOCH + timedelta(microseconds=row.created_at),
        )

    async def end(self, run_id, phase=Phase.SUCCEEDED):
        row = await self.store.run(run_id)
        patch = RunPatch(phase=phase, finished_at=self.clock.now())
        await self.store.commit([Commit(run_id=run_id, expected=row.token, run=patch)])

    async def row(self, cron_id):
        return await self.store.cron(cron_id)

    async def runs(self, cron_id):
        """The instants meant of the runs that exist, oldest first by fire."""
        page = await self.store.runs(RunQuery(cron_id=cron_id, newest_first=False, limit=1000))
        return sorted(moment(run.fire_at) for run in page.runs)

    @property
    def reasons(self):
        return [fault.what for fault in self.errors.faults]


class FailingStore:
    """Passes calls on; those named in `fails` raise what is given, before or after they happen."""

    def __init__(self, store):
        self._store = store
        self.fails = {}
        self.calls = []

    def __getattr__(self, name):
        real = getattr(self._store, name)

        async def call(*args, **given):
            self.calls.append(name)
            error = self.fails.get(name)
            if isinstance(error, CommitUnknown):
                del self.fails[name]
                await real(*args, **given)
                raise error
            if error is not None:
                raise error
            return await real(*args, **given)

        return call
