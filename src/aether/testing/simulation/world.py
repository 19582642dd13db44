"""The simulated world: one store, one engine after another, workers, clients; and chaos.

In: a seed. Out: breaches of the model, counts of what happened, a digest of the whole course. Never: an
event that the seed did not decide.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol, cast

from ...adapters.clock import SystemClock
from ...adapters.cron import CronsimScheduler
from ...adapters.executor import Executors
from ...adapters.store.memory import MemoryStore
from ...adapters.timeouts import HeapTimeoutWatcher
from ...engine import Engine, audit
from ...errors import ProblemError, StoreError
from ...expr import CelEvaluator
from ...ports import Assignment, Commit, Executor, Fault, HookEvent, Store
from ...record import ACTION_LOG, Instant, RunRow, RunRows, Token, decode_changes, encode_changes
from ...worker import Worker
from ..chance import Chance
from .broker import FaultyLocalBroker, Network, NetworkBroker
from .faults import Faults
from .inside import Decisions, decided_anew, fresh_copy, left_over, stale_results_taken
from .loop import Node, SimLoop, node_context
from .model import Model
from .ports import Ids, RandomExecutor, RandomNotifier, RandomSink, Release
from .store import FaultyStore, Line, StoreServer, at_once
from .tiers import LooseRuns

START = 1_750_000_000_000_000
TYPES = ("echo", "other")
FURTHEST_BACK = 3_600_000_000
"""Microseconds an engine's clock goes back in all: what waits for an instant waits that much longer."""
REBUILD_EVERY = 1_000
"""Events between two full comparisons of every run."""


class Breach(Exception):
    """Something happened that must not."""


class Variables:
    """The variable source that random documents refer to."""

    namespace = "deploy"

    def variables(self) -> dict[str, Any]:
        return {"region": "ap-east-1", "count": 2}


class Hosting(Protocol):
    """What of functions there is in every engine's process."""

    def host(self, life: EngineLife) -> Executor: ...


class Place:
    """Where one engine after another lives: one process at a time, with its line to the store."""

    def __init__(self, number: int, network: Network) -> None:
        self.number = number
        self.network = network
        self.line = Line()
        self.life: EngineLife | None = None
        self.last: Node | None = None
        self.stopping: EngineLife | None = None


class EngineLife:
    """One engine's process from start to crash or stop."""

    def __init__(self, place: Place, node: Node, clock: SystemClock, engine: Engine) -> None:
        self.place = place
        self.node = node
        self.clock = clock
        self.engine = engine
        self.up = False
        self.runtime: Any = None
        self.local_worker: Worker | None = None  # where the engine is; it alone serves functions
        self.calls = 0  # of clients, without an answer
        self.crash_at = 0  # callbacks of its node, from its beginning; 0 is never


class World:
    def __init__(self, seed: int, *, alone: bool = False) -> None:
        self.seed = seed
        self.alone = (
            alone  # documents, one engine and the whole log; no neighbours, functions or tiers
        )
        self.chance = Chance(f"simulation {seed}")
        self.breaches: list[str] = []
        self.seen: Counter[str] = Counter()
        self.faults = Faults(self.chance)
        self.loop = SimLoop(self.chance.child("loop"), self._unheard)
        self.node = self.loop.node("world")
        self.model = Model(self.breach, lambda: self.loop.now)
        self.decisions = Decisions()
        apart = self.chance.child("places")
        width = apart.one_of((1, 1, 1, 2, 3))
        self.width = 1 if alone else width  # engines that share the store
        self.server = StoreServer(
            self.loop,
            self.chance,
            self.faults,
            self,
            SystemClock(lambda: (START + self.loop.now) * 1000),
            shared=self.width > 1,
        )
        self.places = [Place(number, self._network(number)) for number in range(self.width)]
        self.calling = apart.child("calls")
        self.release = Release(self.loop)
        self.ids = Ids()
        self.functions: Hosting | None = None
        self.loose = LooseRuns(self)
        self.tiered = apart.happens(0.5) and not alone
        self.is_local = self.chance.happens(0.35)  # engine, broker and worker in one process
        self.rooms = self.chance.one_of((10_000, 10_000, 1, 3))
        self.skew = self.chance.one_of((0, 0, 1_000_000, 90_000_000))
        self.recheck = self.chance.child("recheck")
        self.lives = 0
        self.workers: list[tuple[Node, Worker, Place]] = []
        self.healing = False
        self.set_back = 0
        self._offsets: dict[int, int] = {}
        self._executors = [
            RandomExecutor(name, self.loop, self.chance, self.faults, self.release, self.saw)
            for name in TYPES
        ]

    def _network(self, number: int) -> Network:
        chance = self.chance.child(f"place {number}") if number else self.chance
        return Network(self.loop, chance, self.faults, self)

    def up(self) -> list[EngineLife]:
        lives = (place.life for place in self.places)
        return [life for life in lives if life is not None and life.up]

    # Watching

    def saw(self, what: str) -> None:
        self.seen[what] += 1

    def breach(self, what: str) -> None:
        self.breaches.append(f"[{self.loop.now / 1e6:.6f}s] {what}")

    def _unheard(self, what: str) -> None:
        self.breach(f"nobody took an exception: {what}")

    def committing(self, commit: Commit, before: RunRow | None, client: Node) -> None:
        """Only the engine whose session holds a run decides for it, as long as anything is left to be."""
        holder = before.held_by if before is not None else 0
        if before is None and isinstance(commit.run, RunRow):
            holder = commit.run.owner
        elif before is None or before.phase.is_terminal:
            return
        if self.server.sessions.get(holder) is not client:
            self.breach(f"{commit.run_id}: {client.name} decided for a run that is not its own")

    def committed(self, commit: Commit, token: Token) -> None:
        run_id, log = commit.run_id, commit.log
        if log is None:
            if self.loose.concerns(commit):
                self.loose.committed(commit)
            else:
                self.model.answered(commit, token)
            return
        self.loop.note(log.body)
        changes = decode_changes(log.body)
        body = encode_changes(changes)
        made = self.decisions.made(run_id, body)
        shadow = self.model.runs.get(run_id)
        earlier: RunRows | None = None
        if made is not None and shadow is not None and self.recheck.happens(0.2):
            earlier = fresh_copy(shadow.rows)
        before = self.model.committed(commit, changes, token)
        if made is not None and shadow is not None and before is not None:
            stale_results_taken(made, before, changes, self.breach)
            if earlier is not None and decided_anew(made, earlier) != body:
                self.breach(f"{run_id}: a loaded state decides otherwise: {made.events}")
        if self.recheck.happens(0.1):
            self.compare(run_id)

    def deleted(self, run_id: str) -> None:
        if run_id in self.loose.runs:
            self.loose.forget(run_id)
        else:
            self.model.forget(run_id)

    def must_exist(self, run_id: str, tier: str = "") -> None:
        """Its submit was acknowledged."""
        if tier not in ("", ACTION_LOG):
            self.loose.must_exist(run_id, tier)
        elif run_id not in self.model.runs and run_id not in self.model.deleted:
            self.breach(f"{run_id} was acknowledged, and is not stored")

    def on_its_way(self, client: Node, delay: int) -> None:
        """A call of the store has begun its way."""

    def dispatched(self, assignments: Sequence[Assignment]) -> None:
        self.model.dispatched([a for a in assignments if not self.loose.knows(a.run_id)])

    def compare(self, run_id: str) -> None:
        self.model.compare(run_id, at_once(self.server.inner.load([run_id]))[0])

    def compare_all(self) -> None:
        for run_id in list(self.model.runs):
            self.compare(run_id)

    def _heard(self, fault: Fault, error: BaseException | None) -> None:
        self.saw(f"fault {fault.operation.partition(' random-')[0]}")
        if fault.severity == "critical":
            self.breach(f"a critical fault: {fault.operation}: {fault.what}")

    def _told(self, event: HookEvent) -> None:
        self.saw(f"hook {event.hook}")

    # Engines

    def new_clock(self, node: Node) -> SystemClock:
        number = node.number
        self._offsets[number] = int((2 * self.chance.random() - 1) * self.skew)
        return SystemClock(lambda: (START + self.loop.now + self._offsets[number]) * 1000)

    def jump(self, node: Node, by: int) -> None:
        """Of several engines each may have to go on with what another one began, by its own clock: they
        differ by no more than one alone would go back."""
        if self.width > 1:
            offset = self._offsets[node.number]
            by = min(max(by, -FURTHEST_BACK // 4 - offset), FURTHEST_BACK // 4 - offset)
        self._offsets[node.number] += by
        self.set_back += max(0, -by)

    def follow(self, node: Node, before: Node | None) -> None:
        """To a run, an engine whose clock is behind that of the one before is a clock set back: what
        waits for an instant waits that much longer, so both count towards the same bound."""
        if before is None:
            return
        behind = self._offsets[before.number] - self._offsets[node.number]
        allowed = max(0, min(behind, FURTHEST_BACK - self.set_back))
        if behind > allowed:
            self._offsets[node.number] += behind - allowed
        self.set_back += allowed

    def spawn(
        self, node: Node, work: Coroutine[Any, Any, Any], name: str = ""
    ) -> asyncio.Task[Any]:
        return self.loop.create_task(work, name=name, context=node_context(node))

    def begin_life(self, place: Place) -> None:
        """A new engine's process, over the same store."""
        self.lives += 1
        node = self.loop.node(f"engine {self.lives}")
        node.context.run(self._make_engine, place, node)

    def _make_engine(self, place: Place, node: Node) -> None:
        clock = self.new_clock(node)
        if self.width == 1:
            self.follow(node, place.last)
        place.last = node
        sink = RandomSink(self.faults, self._heard)
        broker = (
            FaultyLocalBroker(self.faults, self)
            if self.is_local
            else NetworkBroker(place.network, node)
        )
        store = FaultyStore(self.server, self.chance.child(node.name), place.line)
        engine = Engine(
            store=cast(Store, store),
            broker=broker,
            id_generator=self.ids,
            clock=clock,
            evaluator=CelEvaluator(),
            notifier=RandomNotifier(self.faults, self.release, self._told),
            timeout_watcher=HeapTimeoutWatcher(clock, sink),
            cron_scheduler=CronsimScheduler(clock, sink),
            vars_sources=[Variables()],
            error_sink=sink,
            runs_in_memory=self.rooms,
            node=node.name,
            volatile=MemoryStore() if self.tiered else None,
        )
        if self.rooms < 10:
            self.faults.note("cache.full")
        life = place.life = EngineLife(place, node, clock, engine)
        assert self.functions is not None
        host = self.functions.host(life)
        life.local_worker = Worker(
            broker if self.is_local else NetworkBroker(place.network, node),
            Executors([*self._executors, host] if self.is_local else [host]),
            worker_id=f"local {self.lives}",
            clock=clock,
            slots=self.chance.one_of((1, 4, 64)),
            errors=sink,
        )
        self.spawn(node, self._start(life), "start")

    async def _start(self, life: EngineLife) -> None:
        try:
            await life.engine.start()
            if life.local_worker is not None:
                await life.local_worker.start()
        except StoreError:
            self.saw("start failed")
            self.loop.call_in(1_000_000, self._replace, life, context=node_context(self.node))
            return
        life.up = True

    def _replace(self, life: EngineLife) -> None:
        if life.place.life is life:
            self.kill(life)
            self.begin_life(life.place)

    def kill(self, life: EngineLife) -> None:
        self.loop.crash(life.node)
        life.up = False
        if life.place.life is life:
            life.place.life = None

    def begin_worker(self, place: Place) -> None:
        if self.is_local:
            return
        node = self.loop.node(f"worker {len(self.workers) + 1}")
        clock = self.new_clock(node)
        worker = Worker(
            NetworkBroker(place.network, node),
            Executors(self._executors),
            worker_id=node.name,
            clock=clock,
            slots=self.chance.one_of((1, 3, 64)),
            errors=RandomSink(self.faults, self._heard),
        )
        self.workers.append((node, worker, place))
        self.spawn(node, worker.start(), "start")

    # Calls of clients, in the engine's process

    def call(
        self,
        work: Callable[[Engine], Coroutine[Any, Any, Any]],
        then: Callable[[Any, Exception | None], None],
        life: EngineLife | None = None,
    ) -> bool:
        """Call an engine; `then` gets its answer, and is never called if the engine crashes first."""
        lives = self.up() if life is None else [life]
        if not lives:
            return False
        life = lives[0] if len(lives) == 1 else self.calling.one_of(lives)
        life.calls += 1

        async def ask() -> None:
            try:
                await carry_out()
            finally:
                life.calls -= 1

        async def carry_out() -> None:
            result: Any = None
            error: Exception | None = None
            try:
                result = await work(life.engine)
            except (ProblemError, StoreError) as exc:
                error = exc
            except Exception as exc:  # noqa: BLE001 - clients are promised one of the two above
                self.breach(f"a client's call raised {type(exc).__name__}: {exc}")
                return
            self.loop.call_in(1, then, result, error, context=node_context(self.node))

        self.spawn(life.node, ask(), "client")
        return True

    # The end

    def clock_of(self, run: RunRow) -> SystemClock | None:
        """That of the engine which decides for the run."""
        node = self.server.sessions.get(run.held_by)
        for life in self.up():
            if life.node is node:
                return life.clock
        return None

    def faults_of_rows(self, now: Instant, grace: int = 60_000_000) -> Iterator[str]:
        """What the auditor says of every run."""
        for shadow in self.model.runs.values():
            width = shadow.rules.parallelism if shadow.rules is not None else 0
            yield from audit(shadow.rows, now, parallelism=width, grace=grace)

    def overdue(self, grace: int) -> Iterator[str]:
        """Likewise of those under way, by the clocks of their engines."""
        for run_id, shadow in self.model.runs.items():
            if shadow.rows.run.phase.is_terminal:
                continue
            clock = self.clock_of(at_once(self.server.inner.run(run_id)) or shadow.rows.run)
            if clock is not None:
                width = shadow.rules.parallelism if shadow.rules is not None else 0
                yield from audit(shadow.rows, clock.now(), parallelism=width, grace=grace)

    def audit_all(self) -> None:
        for what in self.faults_of_rows(START + self.loop.now):
            self.breach(f"the auditor: {what}")
        for run_id, shadow in self.model.runs.items():
            if not shadow.rows.run.phase.is_terminal:
                self.breach(f"{run_id} never ended: {shadow.rows.run}")
        for what in self.loose.unfinished():
            self.breach(what)

    def leaks(self) -> list[str]:
        found: list[str] = []
        for life in self.up():
            found += left_over(life.engine)
            if life.calls:
                found.append(f"{life.calls} calls of clients were never answered")
        return found
