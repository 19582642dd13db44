"""The SQLite store keeps every promise of the Store port, also over what a process leaves on disk."""

from __future__ import annotations

from aether.adapters.store import RecordsOver, SqliteStore
from aether.ports import Records, Store
from aether.testing import RecordsContract, StoreContract


class TestSqliteStore(StoreContract):
    async def make(self) -> Store:
        return SqliteStore(self.folder() / "aether.db")

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, SqliteStore)
        await store.close()
        again = SqliteStore(store.path)
        await again.open()
        self.defer(again.close)
        return again


class TestSqliteStoreWithoutLog(TestSqliteStore):
    async def make(self) -> Store:
        return SqliteStore(self.folder() / "aether.db", keeps_log=False)


class TestRecordsOverASqliteStore(RecordsContract):
    stands_alone = False

    async def make(self) -> Records:
        return RecordsOver(SqliteStore(self.folder() / "aether.db"))
