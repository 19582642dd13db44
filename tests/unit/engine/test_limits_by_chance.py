"""Random arrivals, ends, pauses, faults of the store and deaths of the engine: no limit is ever exceeded, no
slot is ever lost, and nobody is passed by those who came later."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import pytest

from aether.engine import audit
from aether.errors import AetherError, CommitUnknown, InvalidState, StoreUnavailable
from aether.ports import ERROR, Conflict, Outcome
from unit.engine.engine_world import World, workflow

KEYS = {"a": 1, "b": 2, "c": 3}


def document(rng: random.Random) -> dict:
    def some(most: int) -> list[dict]:
        names = rng.sample(sorted(KEYS), rng.randint(0, most))
        return [
            {"key": name, "concurrency": KEYS[name]}
            | ({"fair": rng.choice("xy")} if rng.random() < 0.3 else {})
            for name in names
        ]

    nodes = [
        {
            "name": f"n{n}",
            "executor": {"type": "work"},
            "limits": some(2),
            "retry": {"limit": 1},
        }
        for n in range(rng.randint(1, 3))
    ]
    spec = {"parallelism": 2} if rng.random() < 0.2 else {}
    # Keys of runs and keys of tasks are others, or run and task could wait for each other.
    whole = [{"key": "whole", "concurrency": 2}] if rng.random() < 0.5 else []
    body = {"dag": {"name": "main", "tasks": nodes}}
    return workflow(body, entrypoint="main", limits=whole, timeout="30d", **spec)


class Mortal:
    """A store as one process sees it: what that process does after its death reaches nothing."""

    def __init__(self, store) -> None:
        self._store = store
        self._dead = False

    def die(self) -> None:
        self._dead = True

    def __getattr__(self, name):
        member = getattr(self._store, name)
        if self._dead and asyncio.iscoroutinefunction(member):
            raise StoreUnavailable("this process is dead")
        return member


class Chance(World):
    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng
        self.runs: list[str] = []
        self.asked: list[asyncio.Future[None]] = []
        self.view = Mortal(self.store)
        self.finished: set[tuple[str, int]] = set()

    async def start(self):
        self.view.die()
        self.view = Mortal(self.store)
        self.ports = {"store": self.view}
        return await super().start()

    def open_assignments(self):
        last = {a.task_run_id: a for a in self.broker.assignments}
        return [a for a in last.values() if (a.task_run_id, a.fence.delivery) not in self.finished]

    async def step(self) -> None:
        kind = self.rng.random()
        waiting = self.open_assignments()
        if kind < 0.25:
            self.runs.append(f"r{len(self.runs)}")
            body = document(self.rng)
            self.ask(self.engine.submit(body, run_id=self.runs[-1]))
        elif kind < 0.7 and waiting:
            chosen = self.rng.choice(waiting)
            self.finished.add((chosen.task_run_id, chosen.fence.delivery))
            bad = self.rng.random() < 0.2
            self.broker.complete(chosen, Outcome(ERROR, "no") if bad else None)
        elif kind < 0.76:
            self.request(self.engine.cancel)
        elif kind < 0.86:
            self.request(self.rng.choice([self.engine.pause, self.engine.unpause]))
        elif kind < 0.92:
            self.store.mishaps.append(
                self.rng.choice(
                    [
                        ("answer", Conflict()),
                        StoreUnavailable("down"),
                        ("after", CommitUnknown("?")),
                        CommitUnknown("?"),
                    ]
                )
            )
        else:
            self.store.mishaps.clear()  # a start waits for the store, and time stands still
            await self.start()
        await self.settle()
        if self.rng.random() < 0.3:
            await self.advance(self.rng.choice([1, 7]))

    def request(self, call) -> None:
        if self.runs:
            self.ask(call(self.rng.choice(self.runs)))

    def ask(self, call) -> None:
        """Nobody waits for the answer here: a store that is down answers when time has passed."""

        async def asked() -> None:
            with suppress(AetherError):
                await call

        self.asked.append(asyncio.ensure_future(asked()))

    async def rows(self):
        found = []
        for due in await self.store.unfinished(limit=1000):
            found += await self.store.load([due.run_id])
        return found

    async def check(self, *, healthy: bool) -> None:
        held: Counter[str] = Counter()
        waiting = []
        for rows in await self.rows():
            run = rows.run
            plan = self.engine._documents.known_plan(run.document)
            if plan is not None:
                found = audit(rows, self.clock.now(), parallelism=plan.parallelism)
                assert found == []
            if run.slots is not None and run.slots.taken is not None:
                held["whole"] += 1
            elif run.slots is not None and run.paused_at is None:
                waiting.append(run.slots)
            for row in rows.tasks.values():
                if row.phase.is_terminal or row.slots is None:
                    continue
                if row.slots.taken is not None:
                    held.update(want.key for want in row.slots.wants)
                elif row.slots.waits and run.paused_at is None:
                    waiting.append(row.slots)
                assert row.slots.taken is not None or row.phase == "Created"
        for key, count in held.items():
            assert count <= ({"whole": 2} | KEYS)[key], key
        if healthy:
            for (
                slots
            ) in waiting:  # who waits waits for somebody, who holds all of a key or is before him
                assert any(
                    held[w.key] >= w.concurrency
                    or len(self.engine._runs.gate.holders(w.key)) >= w.concurrency
                    for w in slots.wants
                )


@pytest.mark.parametrize("seed", range(16))
async def test_no_limit_is_exceeded_and_no_slot_is_lost(seed: int) -> None:
    world = Chance(random.Random(seed))
    async with world:
        for _ in range(60):
            await world.step()
            await world.check(healthy=False)
        world.store.mishaps.clear()
        await world.advance(20)
        await world.check(healthy=True)
        for run in world.runs:
            row = await world.store.run(run)
            if row is not None and row.paused_at is not None:
                try:
                    await world.engine.unpause(run)
                except InvalidState:
                    continue
        await world.settle()
        for _ in range(1000):
            await world.check(healthy=True)
            waiting = world.open_assignments()
            if not waiting:
                break
            chosen = world.rng.choice(waiting)
            world.finished.add((chosen.task_run_id, chosen.fence.delivery))
            world.broker.complete(chosen)
            await world.settle()
        assert await world.rows() == [], "every run comes to its end"
        gate = world.engine._runs.gate
        assert (gate._runs, gate._keys) == ({}, {})


@pytest.mark.parametrize("seed", range(8))
async def test_of_one_key_and_priority_they_go_in_the_order_in_which_they_came(seed: int) -> None:
    rng = random.Random(seed)
    world = Chance(rng)
    task = {"name": "t", "executor": {"type": "work"}, "limits": [{"key": "a", "concurrency": 2}]}
    one = workflow({"task": task}, entrypoint="t", timeout="30d")
    taken: list[str] = []
    async with world:
        for at in range(60):
            if at < 40 and rng.random() < 0.5:
                world.runs.append(await world.submit(one, run_id=f"r{at:03}"))
            elif waiting := world.open_assignments():
                chosen = rng.choice(waiting)
                world.finished.add((chosen.task_run_id, chosen.fence.delivery))
                world.broker.complete(chosen)
                await world.settle()
            if rng.random() < 0.1:
                await world.start()
            await world.advance(1)
            for due in await world.store.unfinished(limit=1000):
                [rows] = await world.store.load([due.run_id])
                slots = rows.tasks[0].slots
                if slots.taken is not None and due.run_id not in taken:
                    taken.append(due.run_id)
        assert taken == world.runs[: len(taken)]
        assert len(taken) > 5


@pytest.mark.parametrize("seed", range(5))
async def test_no_group_waits_while_another_is_served_twice(seed: int) -> None:
    rng = random.Random(seed)
    world = Chance(rng)
    async with world:
        groups: dict[str, str] = {}
        for number in range(30):
            group = rng.choice("xxxxxyz")
            limit = {"key": "a", "concurrency": 1, "fair": group}
            task = {"name": "t", "executor": {"type": "work"}, "limits": [limit]}
            groups[await world.submit(workflow({"task": task}, entrypoint="t"))] = group
            assert number >= 0
        order = []
        while waiting := world.open_assignments():
            [chosen] = waiting
            order.append(groups[chosen.run_id])
            world.finished.add((chosen.task_run_id, chosen.fence.delivery))
            world.broker.complete(chosen)
            await world.settle()
        assert len(order) == 30
        left = Counter(order[1:])
        for before, after in pairwise(order[1:]):
            left[before] -= 1
            others = [group for group, count in left.items() if count and group != before]
            assert after != before or not others
