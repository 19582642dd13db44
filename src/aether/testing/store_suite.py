"""What the parts of the store suite share: a store to judge, and two ways to list what it holds."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ..ports import RunQuery, Store
from ..record import PAYLOADS, RunRow
from .suites import ContractSuite


class StoreSuite(ContractSuite):
    """`make` returns a fresh and empty store, not opened yet."""

    async def make(self) -> Store:
        raise NotImplementedError

    async def reopen(self, store: Store) -> Store:
        """The same content in a store opened anew: override where more than the object outlives it."""
        await store.close()
        await store.open()
        return store

    async def opened(self) -> Store:
        store = await self.make()
        await store.open()
        self.defer(store.close)
        return store


def valueless(rows: Iterable[RunRow]) -> list[RunRow]:
    """Rows as a listing shows them at least."""
    return [replace(row, **dict.fromkeys(PAYLOADS[RunRow])) for row in rows]


async def unfinished_ids(store: Store) -> list[str]:
    return [run.run_id for run in await store.unfinished()]


async def listed_ids(store: Store, query: RunQuery) -> list[str]:
    return [row.run_id for row in (await store.runs(query)).runs]


async def paged_ids(store: Store, query: RunQuery) -> list[str]:
    page = await store.runs(query)
    found = [row.run_id for row in page.runs]
    while page.cursor:
        assert len(page.runs) == query.limit
        page = await store.runs(replace(query, after=page.cursor))
        found += [row.run_id for row in page.runs]
    return found
