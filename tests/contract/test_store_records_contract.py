"""Every kind of record calls keeps every promise of the Records port."""

from __future__ import annotations

from aether.adapters.store import MemoryStore, RecordsOver, store_from
from aether.ports import Records
from aether.testing import DictRecords, RecordsContract


class TestDictRecords(RecordsContract):
    async def make(self) -> Records:
        return DictRecords()


class TestRecordsOverAMemoryStore(RecordsContract):
    stands_alone = False

    async def make(self) -> Records:
        return RecordsOver(MemoryStore())


class TestRecordsOverAStoreFromRecords(RecordsContract):
    stands_alone = False

    async def make(self) -> Records:
        return RecordsOver(store_from(DictRecords()))
