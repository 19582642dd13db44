"""A driver that loses count of itself, because its server closes meanwhile, is no fault of a run."""

from __future__ import annotations

from contextlib import asynccontextmanager

import asyncpg
import pytest

from aether.adapters.store.postgres.connections import Connections
from aether.errors import CommitUnknown, StoreUnavailable


class Confused:
    def is_closed(self) -> bool:
        return False

    async def fetchval(self, *_):
        raise asyncpg.InternalClientError(
            "cannot switch to state 12; another operation is in progress"
        )

    fetch = fetchval


def confused() -> Connections:
    connections = Connections("postgresql://localhost/none", schema="aether", size=1, patience=1.0)

    @asynccontextmanager
    async def use():
        yield Confused()

    connections.use = use
    return connections


async def test_commit_in_its_hands_is_in_doubt():
    with pytest.raises(CommitUnknown, match="went away during a commit"):
        await confused().write("SELECT 1")


async def test_question_in_its_hands_is_one_that_the_store_did_not_answer():
    with pytest.raises(StoreUnavailable):
        await confused().ask("SELECT 1")
