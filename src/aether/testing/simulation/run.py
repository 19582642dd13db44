"""One simulation: storms for a while, then calm, then everything must have settled."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

import msgspec

from ...ports import Commit
from ...record import RunRow, Token
from .clients import Clients
from .functions import FunctionWatch, replayed
from .loop import Node, cemetery, node_context, running
from .world import FURTHEST_BACK, REBUILD_EVERY, EngineLife, Place, World

EVENTS = 20_000
SETTLE = 6 * 3600 * 1_000_000
"""Virtual microseconds within which everything must have ended once the faults have stopped."""
_STOP = 300_000_000
_RECOVERED = 600_000_000
_LATE = 180_000_000
"""Microseconds: so long after the faults stopped nobody looks later than this at what is due."""


class Report(msgspec.Struct):
    """What one seed came to. `breaches` is empty if all was well."""

    seed: int
    events: int
    stormy: int  # of them, those until the faults stopped
    breaches: list[str]
    digest: str
    runs: int
    commits: int
    faults: Counter[str]
    seen: Counter[str]
    virtual: float
    seconds: float


class Simulation(World):
    """The world with its clients, and chaos at work."""

    def __init__(self, seed: int, events: int, *, alone: bool = False) -> None:
        super().__init__(seed, alone=alone)
        self.watch = FunctionWatch(self)
        self.functions = self.model.functions = self.watch
        self.clients = Clients(self)
        self.storm = events
        self.dice = self.chance.child("chaos")
        self.healed_at = self.stormy = 0

    def committed(self, commit: Commit, token: Token) -> None:
        super().committed(commit, token)
        if isinstance(commit.run, RunRow):
            self.clients.crons.created(commit)

    def deleted(self, run_id: str) -> None:
        self.clients.crons.deleted(run_id)
        super().deleted(run_id)

    # Chaos

    def begin(self) -> None:
        for place in self.places:
            self.begin_life(place)
            for _ in range(self.dice.one_of((1, 2, 3)) if self.width == 1 else 1):
                self.begin_worker(place)
        self.clients.start()
        self._mishap()

    def begin_life(self, place: Place) -> None:
        super().begin_life(place)
        life = place.life
        if life is not None and self.faults.strike("engine.crash-in-recovery"):
            life.crash_at = self.dice.span(1, 2_000)

    def _mishap(self) -> None:
        """Called every now and then, in the world's time."""
        if self.healing:
            return
        strike, dice = self.faults.strike, self.dice
        place = self.places[0] if self.width == 1 else dice.one_of(self.places)
        life = place.life
        if life is not None and life.up:
            if not life.crash_at and strike("engine.crash"):
                life.crash_at = life.node.ran + dice.span(1, 3_000)
            elif strike("engine.stop"):
                self.stop_well(life)
            elif strike("engine.freeze"):
                self.loop.freeze(life.node, dice.span(1_000, 90_000_000))
            elif strike("clock.forward"):
                self.jump(life.node, dice.span(1_000, 7_200_000_000))
            elif self.set_back < FURTHEST_BACK and strike("clock.back"):
                self.jump(life.node, -dice.span(1_000, 600_000_000))
        if not place.line.cut and strike("line.cut"):
            self._cut(place)
        if self.workers:
            index = dice.randrange(len(self.workers))
            node, _, there = self.workers[index]
            if node.alive and strike("worker.crash"):
                self.loop.crash(node)
                self.begin_worker(there)
            elif strike("worker.freeze"):
                self.loop.freeze(node, dice.span(1_000, 90_000_000))
        # As often as clients do something, so that a world in a hurry has its share.
        self.loop.call_in(dice.span(1_000, min(5_000_000, 50 * self.clients.pace)), self._mishap)

    def _cut(self, place: Place) -> None:
        """Often for longer than a session lasts without a renewal."""

        def mend() -> None:
            place.line.cut = False

        place.line.cut = True
        self.loop.call_in(self.dice.span(100_000, 120_000_000), mend)

    def on_its_way(self, client: Node, delay: int) -> None:
        for life in self.up():
            if client is life.node and self.faults.strike("engine.crash-in-commit"):
                span = self.dice.span(1, delay)
                self.loop.call_in(span, self.crash, life, context=node_context(self.node))

    def crash(self, life: EngineLife) -> None:
        if life is life.place.life and life.node.alive and not self.healing:
            self.kill(life)
            # Soon as well, so that what a dead engine sent still meets its successor.
            away = self.dice.span(100, self.dice.one_of((10_000, 500_000, 30_000_000)))
            self.loop.call_in(away, self.revive, life.place, context=node_context(self.node))

    def stop_well(self, life: EngineLife) -> None:
        if life.place.stopping is life:
            return
        life.place.stopping = life
        life.up = False

        async def stop() -> None:
            if life.local_worker is not None:
                await life.local_worker.stop()
            await life.engine.stop()
            self.loop.call_in(1, self._stopped, life, context=node_context(self.node))

        self.spawn(life.node, stop(), "stop")
        self.loop.call_in(_STOP, self._must_have_stopped, life)

    def _must_have_stopped(self, life: EngineLife) -> None:
        if life.place.stopping is life and life.node.alive:
            self.breach("the engine did not stop within five minutes")

    def _stopped(self, life: EngineLife) -> None:
        place = life.place
        place.stopping = None
        if not life.node.alive:
            return
        for task in life.node.open_tasks():
            if task.get_name().startswith("aether"):
                self.breach(f"the engine is stopped, and its task '{task.get_name()}' is not")
        self.kill(life)
        if not self.healing:
            self.loop.call_in(self.dice.span(1, 60_000_000), self.revive, place)
        else:
            self.revive(place)

    def revive(self, place: Place) -> None:
        if place.life is None:
            self.begin_life(place)

    # The course of things

    def weather(self) -> None:
        """Steps until the storm is over."""
        loop = self.loop
        while loop.ran < self.storm and not self.breaches:
            if not loop.step():
                break
            for place in self.places:
                life = place.life
                if life is not None and life.crash_at and life.node.ran >= life.crash_at:
                    self.crash(life)
            if not loop.ran % REBUILD_EVERY:
                self.compare_all()
                for place in self.places:
                    place.network.tidy()

    def heal(self) -> None:
        self.healing = True
        self.stormy = self.loop.ran
        self.healed_at = self.loop.now
        self.faults.active = False
        self.release.release()
        for place in self.places:
            place.line.cut = False
            if place.life is not None:
                place.life.crash_at = 0
            self.revive(place)
            if not any(node.alive for node, _, there in self.workers if there is place):
                self.begin_worker(place)
        self._help()

    def _help(self) -> None:
        self._look_for_the_forgotten()
        self.clients.help_on()
        self.clients.crons.delete_all()
        if not self.settled():
            self.loop.call_in(7_000_000, self._help)

    def _look_for_the_forgotten(self) -> None:
        """At the end it may have been too late only by hours, and nobody would see it."""
        if self.loop.now < self.healed_at + _RECOVERED:
            return
        for what in self.overdue(_LATE):
            self.breach(f"the auditor: {what}")

    def settled(self) -> bool:
        if len(self.up()) < self.width or self.clients.crons.stored():
            return False
        runs = self.model.runs.values()
        over = all(shadow.rows.run.phase.is_terminal for shadow in runs)
        return over and not self.loose.under_way()

    def settle(self) -> None:
        loop = self.loop
        until = loop.now + SETTLE
        calm = 0
        while not self.breaches and loop.now < until and loop.step():
            if not loop.ran % 256 and self.settled():
                # Hooks, lazy facts and watchers have their say after the last run's end.
                calm = calm or loop.now
                if loop.now - calm > 1_800_000_000:
                    break

    def close(self) -> None:
        if self.breaches:
            return
        self.compare_all()
        self.audit_all()
        self.breaches += self.clients.functions.check()
        replayed(self, self.watch, self.up()[0].node)
        self.breaches += self.leaks()
        if not (self.skew or self.faults.hits["clock.forward"] or self.faults.hits["clock.back"]):
            self.breaches += self.clients.crons.owed()


def simulate(seed: int, events: int = EVENTS, *, alone: bool = False) -> Report:
    """Run the simulation of `seed`: the same report every time. `alone`: one engine, documents and the whole
    log, without neighbours, functions and other tiers."""
    with cemetery():
        return _simulate(seed, events, alone)


def _simulate(seed: int, events: int, alone: bool) -> Report:
    begun = perf_counter()
    simulation = Simulation(seed, events, alone=alone)
    with running(simulation.loop), simulation.decisions.listening():
        simulation.node.context.run(simulation.begin)
        simulation.weather()
        simulation.node.context.run(simulation.heal)
        simulation.settle()
        simulation.close()
        digest = simulation.loop.digest()
        breaches = list(simulation.breaches)
    return Report(
        seed=seed,
        events=simulation.loop.ran,
        stormy=simulation.stormy,
        breaches=breaches,
        digest=digest,
        runs=simulation.model.ended,
        commits=simulation.model.commits,
        faults=simulation.faults.hits,
        seen=simulation.seen,
        virtual=simulation.loop.now / 1e6,
        seconds=perf_counter() - begun,
    )
