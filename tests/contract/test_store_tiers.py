"""A store with tiers keeps every promise of the Store port, whichever tier its runs have."""

from __future__ import annotations

from aether.adapters.clock import SystemClock
from aether.adapters.store import MemoryStore, SqliteStore
from aether.engine.faults import Faults
from aether.engine.tiers import Tiers
from aether.ports import Store
from aether.record import MEMORY, SNAPSHOT, RunRow
from aether.testing import RowsContract, StoreContract


class InOneTier(Tiers):
    """Every run has the tier of the class, whatever its row says."""

    tier = ""

    def tier_of(self, row: RunRow) -> str:
        return self.tier

    @property
    def keeps_log(self) -> bool:
        return False


class InMemory(InOneTier):
    tier = MEMORY


class InSnapshots(InOneTier):
    tier = SNAPSHOT


def over(kind: type[Tiers], durable: Store) -> Tiers:
    return kind(durable, MemoryStore(), SystemClock(), Faults(None))


class TestTiersOverMemory(StoreContract):
    async def make(self) -> Store:
        return over(Tiers, MemoryStore(history=True))


class TestTierMemory(RowsContract):
    async def make(self) -> Store:
        return over(InMemory, MemoryStore())


class TestTierSnapshotOverMemory(RowsContract):
    async def make(self) -> Store:
        return over(InSnapshots, MemoryStore())


class TestTiersOverSqlite(StoreContract):
    async def make(self) -> Store:
        return over(Tiers, SqliteStore(self.folder() / "aether.db"))


class TestTierSnapshotOverSqlite(RowsContract):
    async def make(self) -> Store:
        return over(InSnapshots, SqliteStore(self.folder() / "aether.db"))
