"""The PostgreSQL store keeps every promise of the Store port, on a real server."""

from __future__ import annotations

import pytest

from aether.adapters.store.postgres import PostgresStore
from aether.ports import Store
from aether.testing import StoreContract
from aether.testing.postgres import PostgresServer, postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]  # fixtures


class OnPostgres(StoreContract):
    @pytest.fixture(autouse=True)
    def _place(self, postgres_server: PostgresServer, postgres_schema: str) -> None:
        self.dsn, self.schema = postgres_server.dsn, postgres_schema

    async def reopen(self, store: Store) -> Store:
        await store.close()
        again = PostgresStore(self.dsn, schema=self.schema, history=store.keeps_log)
        await again.open()
        self.defer(again.close)
        return again


class TestPostgresStore(OnPostgres):
    async def make(self) -> Store:
        return PostgresStore(self.dsn, schema=self.schema)


class TestPostgresStoreWithoutHistory(OnPostgres):
    async def make(self) -> Store:
        return PostgresStore(self.dsn, schema=self.schema, history=False)


class TestPostgresStoreThatRemembersNothing(OnPostgres):
    """Every commit reads what it must know: as after a start, or behind another process."""

    async def make(self) -> Store:
        return Forgetful(self.dsn, schema=self.schema)


class Forgetful(PostgresStore):
    async def commit(self, batch):  # type: ignore[no-untyped-def]
        self._writing.forget()
        return await super().commit(batch)
