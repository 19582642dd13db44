"""The runs this engine works on: facts come in, decisions are made, whoever waits is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice

from ..errors import NotFound, Problem
from ..plan import (
    AnyPlan,
    AnyState,
    Decision,
    Event,
    HookNotified,
    RunForked,
    RunSubmitted,
    TaskHeartbeat,
    TimePassed,
    load_state,
    new_state,
)
from ..ports import (
    RECORDED,
    Clock,
    Fence,
    Notifier,
    Observer,
    Schema,
    SecretProvider,
    Store,
    TaskBroker,
    TaskResult,
    TimeoutWatcher,
)
from ..record import RunRow, RunRows, parse_task_run_id
from . import intake
from .children import Children
from .documents import Documents
from .faults import Faults
from .journal import RunJournal
from .lazy import LazyFacts
from .ledger import Ledger
from .live import LiveRun, Request
from .lookback import gate_over
from .membership import Membership
from .neighbours import Neighbours
from .recovery import Recovery
from .refusals import exists, stopped, unknown
from .relay import Relay
from .sizes import Sizes
from .step import Stepper
from .waiting import Changes, Waiting

IN_MEMORY = 10_000
"""Runs whose state is kept in memory; more unfinished ones wait in the store for their next event."""
_SPARE = 64  # runs looked at beyond the excess, so that making room is not done one by one


class Runs:
    def __init__(
        self,
        *,
        store: Store,
        broker: TaskBroker,
        clock: Clock,
        documents: Documents,
        timeouts: TimeoutWatcher | None,
        notifier: Notifier | None,
        secrets: SecretProvider | None,
        faults: Faults,
        ledger: Ledger,
        schema_of: Callable[[str], Schema | None],
        ended: Callable[[RunRow], None],
        membership: Membership,
        sizes: Sizes,
        in_memory: int = IN_MEMORY,
    ) -> None:
        self._store = store
        self._clock = clock
        self._documents = documents
        self._timeouts = timeouts
        self._faults = faults
        self._schema_of = schema_of
        self._ended = ended
        self._in_memory = in_memory
        self._sizes = sizes
        self._live: dict[str, LiveRun] = {}
        self._waiting = Waiting(clock)
        self._lazy = LazyFacts(clock, self._write_lazy)
        self._stopped = False
        self._stepper = Stepper(
            store,
            clock,
            faults,
            ledger,
            sizes,
            self._revive,
            self._perform,
            self._arm,
            self._retire,
            self._lost,
            membership,
            self._left,
        )
        self._membership = membership
        membership.lost = self._session_lost
        self._neighbours = Neighbours(store, clock, faults, membership, self._waiting, self._add)
        self.journal = RunJournal(self, store, clock)
        self.gate = gate_over(store, clock, faults, membership, documents, self.add, self.held)
        self.observer: Observer | None = None
        self.recovery = Recovery(store, faults, membership, self._take_up, self._neighbours.mail)
        self.recovery.began, self.recovery.seen_all = self.gate.mark, self.gate.open
        self._relay = Relay(
            broker, notifier, secrets, clock, faults, self.on_task_completed, self._hook_delivered
        )
        self._relay.started = self.on_task_started

    @property
    def children(self) -> Children:
        return self._relay.children

    async def start(self) -> None:
        if self._timeouts is not None:
            self._timeouts.start(self._due)
        self.gate.is_shared = self._store.shared
        self._stepper.start()
        self._relay.start()
        await self._neighbours.start()
        self.recovery.start()

    async def stop(self) -> None:
        self._stopped = True
        await self.recovery.stop()
        if self._timeouts is not None:
            self._timeouts.stop()
        self.journal.stop()
        await self.gate.stop()
        await self.children.stop()
        await self._stepper.stop()
        await self._relay.stop()
        error = stopped()
        await self._neighbours.stop(error)
        for live in self._live.values():
            live.fail_requests(error)
        self._waiting.give_up_all(error)

    async def _take_up(self, run_id: str) -> None:
        """A run that this engine has claimed: its rows say so, and what follows from it."""
        await self.request(run_id, TimePassed(self._clock.now()))

    # Among other engines

    def _left(self, live: LiveRun, run: RunRow) -> None:
        """Another engine decides for this run."""
        self._retire(live)
        self.gate.forget(live.run_id)
        self.journal.give_up(live.run_id)
        events = list(live.events)
        live.events.clear()
        self._neighbours.left(run, events)

    def _session_lost(self) -> None:
        """Nothing of what this engine holds is known to be true, and much of it is another's."""
        self.gate.reset()
        for live in list(self._live.values()):
            live.forget_state()
            if self._timeouts is not None and live.due_at is not None:
                self._timeouts.set(live.run_id, None)
            live.due_at = None
            if live.events or live.unsure:
                self._stepper.push(live)
            elif not live.busy:
                del self._live[live.run_id]
        for run_id in sorted(self._waiting.awaited()):
            self._neighbours.watch(run_id)
        self.recovery.look_again()

    # In

    async def begin(
        self, event: RunSubmitted | RunForked, plan: AnyPlan, document: tuple[bytes, bytes]
    ) -> None:
        if self._stopped:
            raise stopped()
        run_id = event.run.run_id
        if run_id in self._live:
            raise exists(run_id)
        self.gate.check(plan, event.run)
        event.run.owner = self._membership.number
        self._make_room()
        live = LiveRun(run_id)
        live.plan, live.document, live.state = plan, document, new_state(plan)
        live.rows = [] if isinstance(event, RunSubmitted) else None
        self._live[run_id] = live
        request = Request(event)
        live.events.append(request)
        self._stepper.push(live)
        await request.reply

    async def request(self, run_id: str, event: Event) -> None:
        if self._stopped:
            raise stopped()
        request = Request(event)
        live = self._run(run_id)
        live.events.append(request)
        self._stepper.push(live)
        await request.reply

    def on_task_started(self, task_run_id: str, fence: Fence, worker_id: str = "") -> None:
        parsed = parse_task_run_id(task_run_id)
        if parsed is None:
            self._strange(task_run_id)
            return
        run_id, number, is_hook = parsed
        live = self._run(run_id)
        live.events.append(intake.started(number, is_hook, fence, worker_id, self._clock.now()))
        if live.plan is None or live.plan.wants_starts:
            self._stepper.push(live)
        else:
            self._lazy.write_soon(run_id)

    def on_task_heartbeat(self, task_run_id: str, fence: Fence, details: bytes | None) -> None:
        """Lazy: it rides in the run's next commit, or in one within a second."""
        parsed = parse_task_run_id(task_run_id)
        if parsed is None or parsed[2]:
            self._strange(task_run_id)
            return
        run_id, number, _ = parsed
        if fault := self._sizes.result(details, None):
            what = f"a heartbeat of task run '{task_run_id}' told too much: {fault}"
            then = "the task lives on, what it told is dropped"
            self._faults.report("take in a heartbeat", what, run_id=run_id, then=then, warning=True)
            details = None
        now = self._clock.now()
        self.add(
            run_id, TaskHeartbeat(number, fence.epoch, fence.delivery, now, details), lazy=True
        )

    def on_task_completed(self, result: TaskResult) -> None:
        if result.outcome.code == RECORDED:
            return  # a function has told its journal
        parsed = parse_task_run_id(result.task_run_id)
        if parsed is None:
            self._strange(result.task_run_id)
            return
        run_id, number, is_hook = parsed
        live = self._run(run_id)
        schema = None if is_hook else self._schema_for(live, number, result)
        now, sizes = self._clock.now(), self._sizes
        live.events.append(
            intake.completed(number, is_hook, result, schema, live.secrets, now, sizes, live.state)
        )
        self._stepper.push(live)

    def _schema_for(self, live: LiveRun, number: int, result: TaskResult) -> Schema | None:
        """What the result must fit. A worker says which executor it was; else the state knows."""
        executor_type = result.executor_type
        if not executor_type and live.state is not None:
            node = live.state.nodes.get(number)
            executor_type = "" if node is None else node.spec.executor
        return self._schema_of(executor_type) if executor_type else None

    def _push(self, live: LiveRun, event: Event | Request) -> None:
        live.events.append(event)
        self._stepper.push(live)

    def _add(self, run_id: str, event: Event | Request) -> None:
        self._push(self._run(run_id), event)

    def add(self, run_id: str, event: Event | Request, *, lazy: bool = False) -> None:
        """Something about this run, from our own process: it goes to the engine that holds the run."""
        live = self._run(run_id)
        live.events.append(event)
        if lazy:
            self._lazy.write_soon(run_id)
        else:
            self._stepper.push(live)

    def holds(self, run: RunRow) -> bool:
        """Whether it is this engine that decides for the run."""
        return run.held_by == self._membership.number

    def held(self, run_id: str) -> LiveRun | None:
        return self._live.get(run_id)

    def _run(self, run_id: str) -> LiveRun:
        """The run as this engine holds it, which makes it the one held longest."""
        live = self._live.pop(run_id, None)
        if live is None:
            live = LiveRun(run_id)
            self._make_room()
        self._live[run_id] = live
        return live

    def _make_room(self) -> None:
        """Forget the state of runs that nothing has happened to for longest: the store has it."""
        excess = len(self._live) - self._in_memory
        if excess < 0:
            return
        for run_id in list(islice(self._live, excess + _SPARE)):
            if self._live[run_id].is_idle:
                del self._live[run_id]

    def _due(self, run_id: str) -> None:
        live = self._run(run_id)
        live.due_at = None
        self._push(live, TimePassed(self._clock.now()))

    def _hook_delivered(self, run_id: str, number: int) -> None:
        live = self._run(run_id)
        live.events.append(HookNotified(number, self._clock.now()))
        self._lazy.write_soon(run_id)

    def _write_lazy(self, run_id: str) -> None:
        live = self._live.get(run_id)
        if live is not None and live.events:
            self._stepper.push(live)

    async def write_now(self, run_id: str) -> None:
        """Whoever looks at a run sees what is known of it: its lazy facts are written first."""
        if not self._lazy.take(run_id):
            return
        live = self._live.get(run_id)
        if live is None or not live.events:
            return
        if live.state is None or live.state.run.phase.is_terminal:
            self._stepper.push(live)  # nothing of it will show
        else:
            await self.request(run_id, TimePassed(self._clock.now()))

    def _strange(self, task_run_id: str) -> None:
        what = f"a result came for '{task_run_id}', which is no task run id"
        self._faults.report("take in a result", what, then="it is dropped", warning=True)

    # Decided

    async def _revive(self, live: LiveRun, rows: RunRows) -> AnyState | None:
        digest = rows.run.document
        plan = self._documents.known_plan(digest)
        if plan is None:
            text = await self._store.document(digest)
            if text is None:
                if await self._store.run(live.run_id) is None:
                    return None  # it was deleted after its rows were read
                raise NotFound(
                    Problem("document-lost", f"the document of run {live.run_id} is not stored")
                )
            plan = await self._documents.plan_of(digest, text)
        live.plan = plan
        if rows.run.parent and rows.run.claimed:
            self._relay.children.check(rows.run)
        state = load_state(plan, rows)
        if state.limited:
            self.gate.see(live.run_id, state)
        return state

    def _perform(self, live: LiveRun, decision: Decision) -> None:
        state = live.state
        if state is None:
            return
        if decision.commands:
            self._relay.perform(live, decision.commands)
        run = state.run
        self._arm(live)
        if state.limited:
            self.gate.changed(live.run_id, state, decision.changes)
        if self.observer is not None:
            self.observer.changed(run, decision.changes)
        self._waiting.changed(live.run_id)
        self._neighbours.changed(live.run_id)
        if run.phase.is_terminal:
            self._waiting.over(live.run_id, live.at_its_end)
            self._ended(run)

    def _arm(self, live: LiveRun) -> None:
        """The watcher keeps the instant at which this run is due, also after one that came too early."""
        self.journal.look(live)
        if self._timeouts is None or live.state is None:
            return
        due_at = live.state.run.due_at
        if due_at != live.due_at:
            live.due_at = due_at
            self._timeouts.set(live.run_id, due_at)

    def _retire(self, live: LiveRun) -> None:
        if self._live.get(live.run_id) is live:
            del self._live[live.run_id]
        if self._timeouts is not None:
            self._timeouts.set(live.run_id, None)
        if live.state is not None and live.state.run.phase.is_terminal:
            self._waiting.changed(live.run_id)  # another engine may have ended it
            self._waiting.over(live.run_id, live.at_its_end)

    def _lost(self, live: LiveRun, error: Exception | None) -> None:
        """This engine cannot go on with the run: for `error`, or because there is no such run, or
        because one that was to be created exists."""
        self._retire(live)
        if error is None and live.token is None and live.document is not None:
            for event in live.refuse_begin(exists(live.run_id)):
                self._add(live.run_id, event)  # it is for the run that exists
            return
        if error is None:
            error = unknown(live.run_id)
            if any(not isinstance(event, Request) for event in live.events):
                what = f"there is no run '{live.run_id}'"
                self._faults.report("take in a result", what, then="it is dropped", warning=True)
        self._waiting.give_up(live.run_id, error)
        self.journal.give_up(live.run_id)
        live.fail_requests(error)
        self.gate.give_up(live.run_id)

    def forget(self, run_id: str) -> None:
        live = self._live.get(run_id)
        if live is not None:
            self._retire(live)

    # Waiting

    async def wait(self, run_id: str, timeout: int | None) -> RunRows | None:
        """Returns once the run is terminal: with all its rows, where they are at hand. They are not to be
        changed."""
        if self._stopped:
            raise stopped()

        async def is_over() -> bool:
            live = self._live.get(run_id)
            if live is not None and live.state is not None:
                if not live.state.run.phase.is_terminal:
                    return False
            run = await self._store.run(run_id)
            if run is None:
                raise unknown(run_id)
            if not run.phase.is_terminal and run.held_by != self._membership.number:
                self._neighbours.watch(run_id)
            return run.phase.is_terminal

        return await self._waiting.wait(run_id, timeout, is_over)

    def changes(self, run_id: str) -> AbstractContextManager[Changes]:
        if self._stopped:
            raise stopped()
        changes = self._waiting.changes(run_id)
        live = self._live.get(run_id)
        if live is None or live.state is None:
            self._neighbours.watch(run_id)  # it may be another engine's
        return changes
