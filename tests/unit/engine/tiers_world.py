"""An engine with tiers on a fake clock, over a durable store that counts, fails and outlives it."""

from __future__ import annotations

from collections import deque

from aether.adapters.store.memory import MemoryStore
from unit.engine.engine_world import World


class Disk(MemoryStore):
    """`mishaps` are raised, one per commit: as they are, or `("after", error)` once all is written.
    `gone` fails every commit for as long as it is set."""

    def __init__(self):
        super().__init__(history=True)
        self.batches = []
        self.mishaps = deque()
        self.gone = None
        self.hold = None

    async def commit(self, batch):
        self.batches.append([commit.run_id for commit in batch])
        if self.hold is not None:
            await self.hold.wait()
        mishap = self.gone or (self.mishaps.popleft() if self.mishaps else None)
        if isinstance(mishap, Exception):
            raise mishap
        outcomes = await super().commit(batch)
        if mishap is not None:
            raise mishap[1]
        return outcomes

    @property
    def writes(self):
        return sum(map(len, self.batches))

    async def saved(self, run_id):
        """Phases of task runs by name, as the disk has them."""
        rows = (await self.load([run_id]))[0]
        return {task.task_name: str(task.phase) for task in rows.tasks.values()}


class TieredWorld(World):
    def __init__(self, tier="snapshot", **ports):
        super().__init__(**ports)
        self.tier = tier
        self.store = Disk()

    async def start(self):
        self.ports |= {"volatile": MemoryStore(), "tier": self.tier}
        return await super().start()

    async def crash(self):
        """The process is gone, with all that was in memory: a new engine, over the same disk. The old
        one is cut off from it."""
        old, self.store = self.store, Disk()
        self.store.__dict__ |= {
            name: value for name, value in old.__dict__.items() if name not in Disk().__dict__
        }
        for name in ("_runs", "_documents", "_created", "_by_cron", "_open", "_last_token"):
            setattr(self.store, name, getattr(old, name))
        old.__dict__ |= MemoryStore().__dict__
        await self.start()
