"""An engine on a fake clock, with a store, a broker and a notifier that misbehave when told."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta

from aether.adapters.errors import CollectingSink
from aether.adapters.ids import CounterIds
from aether.adapters.store.memory import MemoryStore
from aether.adapters.timeouts import HeapTimeoutWatcher
from aether.engine import Engine
from aether.engine.held_values import changes_with_values
from aether.errors import CommitUnknown
from aether.expr import CelEvaluator
from aether.ports import Outcome, TaskResult
from aether.testing import FakeClock


def one_task(name="only", **task):
    """A document whose entry is one task of type `work`."""
    body = {"name": name, "executor": {"type": "work"}} | task
    return workflow({"task": body}, entrypoint=name)


def two_tasks(**spec):
    nodes = [
        {"name": "first", "executor": {"type": "work"}},
        {"name": "second", "executor": {"type": "work"}, "dependencies": ["first"]},
    ]
    return workflow({"dag": {"name": "main", "tasks": nodes}}, entrypoint="main", **spec)


def workflow(*templates, entrypoint, name="example", **spec):
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": entrypoint, "templates": list(templates)} | spec,
    }


class FlakyStore(MemoryStore):
    """`mishaps` are used up one per commit call: see `commit`. `hold` keeps commits from answering."""

    def __init__(self, history=True):
        super().__init__(history=history)
        self.mishaps = deque()
        self.load_mishaps = deque()
        self.batches = []
        self.said = []  # by each commit of its values
        self.hold = None
        self.poison = {}  # run id: what a commit of it raises

    async def commit(self, batch):
        """A mishap is an exception to raise before anything is written, `("after", exception)`, or
        `("answer", outcome)` in place of every true answer, or None for no mishap."""
        self.batches.append([commit.run_id for commit in batch])
        for commit in batch:
            valued = changes_with_values([commit.run, *commit.tasks, *commit.hooks])
            assert commit.holds_values or not valued, "nobody will look at these values again"
            self.said.append(commit.holds_values)
        if self.hold is not None:
            await self.hold.wait()
        for commit in batch:
            if commit.run_id in self.poison:
                raise self.poison[commit.run_id]
        mishap = self.mishaps.popleft() if self.mishaps else None
        if isinstance(mishap, Exception):
            raise mishap
        if mishap is not None and mishap[0] == "answer":
            return [mishap[1] for _ in batch]
        outcomes = await super().commit(batch)
        if mishap is not None:
            raise mishap[1]
        return outcomes

    async def load(self, run_ids):
        if self.load_mishaps and (mishap := self.load_mishaps.popleft()) is not None:
            raise mishap
        return await super().load(run_ids)


class HandBroker:
    """Keeps what is dispatched; tests play the worker. `mishaps` are raised, one per call."""

    def __init__(self):
        self.events = None
        self.assignments = []
        self.cancelled = []
        self.mishaps = deque()
        self.closed = False

    def connect(self, events):
        self.events = events

    async def dispatch(self, assignments):
        if self.mishaps and (mishap := self.mishaps.popleft()) is not None:
            raise mishap
        self.assignments += assignments

    async def cancel(self, cancellations):
        self.cancelled += cancellations

    async def close(self):
        self.closed = True

    # The worker's part

    def named(self, task_name):
        """The last delivery of a task with that name."""
        return next(a for a in reversed(self.assignments) if a.task_name == task_name)

    def start(self, assignment, worker="w"):
        self.events.on_task_started(assignment.task_run_id, assignment.fence, worker)

    def complete(self, assignment, outcome=None, **outputs):
        self.events.on_task_completed(
            TaskResult(
                task_run_id=assignment.task_run_id,
                fence=assignment.fence,
                outcome=outcome or Outcome.succeeded(**outputs),
                worker_id="w",
                executor_type=assignment.executor_type,
            )
        )


class HandNotifier:
    """Keeps events. `mishap` is raised for each; `hold` keeps `notify` from returning."""

    def __init__(self, mishap=None, hold=None):
        self.events = []
        self.mishap = mishap
        self.hold = hold

    async def notify(self, event):
        self.events.append(event)
        if self.hold is not None:
            await self.hold.wait()
        if self.mishap is not None:
            raise self.mishap

    async def close(self):
        pass


class World:
    """One store and clock; `engine()` makes one engine after the other over them."""

    def __init__(self, **ports):
        self.clock = FakeClock()
        self.store = FlakyStore()
        self.errors = CollectingSink()
        self.ids = CounterIds()
        self.ports = ports
        self.engines = []

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *exc):
        for engine in self.engines:
            await engine.stop()

    async def start(self):
        """A new engine, on a broker of its own. The one before is left as it is."""
        self.broker = HandBroker()
        ports = {
            "store": self.store,
            "broker": self.broker,
            "id_generator": self.ids,
            "clock": self.clock,
            "evaluator": CelEvaluator(),
            "timeout_watcher": HeapTimeoutWatcher(self.clock, self.errors),
            "error_sink": self.errors,
        } | self.ports
        self.engine = Engine(**ports)
        self.engines.append(self.engine)
        await self.engine.start()
        await self.settle()
        return self.engine

    async def settle(self):
        await self.clock.settle()

    async def advance(self, seconds):
        await self.clock.advance(timedelta(seconds=seconds))

    async def submit(self, document, arguments=None, **options):
        run_id = await self.engine.submit(document, arguments, **options)
        await self.settle()
        return run_id

    async def complete(self, task_name, outcome=None, **outputs):
        assignment = self.broker.named(task_name)
        self.broker.complete(assignment, outcome, **outputs)
        await self.settle()
        return assignment

    async def phases(self, run_id):
        """Phases of task runs by name."""
        run = await self.engine.get(run_id)
        return {task.task_name: str(task.status) for task in run.tasks}

    async def status(self, run_id):
        return str((await self.engine.get(run_id)).status)

    def held_runs(self):
        """Runs the engine keeps in memory."""
        return list(self.engine._runs._live)


def unknown():
    return CommitUnknown("the connection broke while the commit was on its way")


async def soon(awaitable):
    """The result of what must not take forever; no clock is involved."""
    task = asyncio.ensure_future(awaitable)
    for _ in range(200):
        if task.done():
            break
        await asyncio.sleep(0)
    assert task.done(), "it still waits"
    return task.result()
