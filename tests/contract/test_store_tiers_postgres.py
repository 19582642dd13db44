"""Runs of tier `snapshot` keep every promise of the Store port on a PostgreSQL server as well."""

from __future__ import annotations

import pytest

from aether.adapters.clock import SystemClock
from aether.adapters.store import MemoryStore
from aether.adapters.store.postgres import PostgresStore
from aether.engine.faults import Faults
from aether.engine.tiers import Tiers
from aether.ports import Store
from aether.record import SNAPSHOT, RunRow
from aether.testing import RowsContract
from aether.testing.postgres import PostgresServer, postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]  # fixtures


class InSnapshots(Tiers):
    """Every run has this tier, whatever its row says."""

    def tier_of(self, row: RunRow) -> str:
        return SNAPSHOT

    @property
    def keeps_log(self) -> bool:
        return False


class TestTierSnapshotOverPostgres(RowsContract):
    @pytest.fixture(autouse=True)
    def _place(self, postgres_server: PostgresServer, postgres_schema: str) -> None:
        self.dsn, self.schema = postgres_server.dsn, postgres_schema

    async def make(self) -> Store:
        durable = PostgresStore(self.dsn, schema=self.schema)
        return InSnapshots(durable, MemoryStore(), SystemClock(), Faults(None))
