"""The crash matrix as it runs with every change. `make crash KILLS=300` is the nightly form.

A failure prints its seed: repeat it with AETHER_CRASH_SEED.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from aether.record import SNAPSHOT
from aether.testing.postgres import PostgresServer, own_postgres_server
from crash.harness import Matrix
from crash.places import FilesPlace, Place, PostgresPlace, SqlitePlace

__all__ = ["own_postgres_server"]  # a fixture

KILLS = 40
KILLS_OF_SNAPSHOTS = 16
KILLS_OF_FILES = 8


def a_seed() -> int:
    return int(os.environ.get("AETHER_CRASH_SEED") or random.SystemRandom().randrange(10**6))


@pytest.mark.slow
def test_whatever_was_acknowledged_to_a_killed_process_is_kept_and_every_run_ends_as_without_kills(
    tmp_path: Path,
) -> None:
    verdict = Matrix(SqlitePlace(tmp_path / "aether.db"), tmp_path, KILLS, a_seed()).run()
    print(verdict.in_words())
    assert verdict.findings == [], verdict.in_words()
    assert verdict.kills == KILLS
    assert verdict.runs > KILLS
    assert verdict.deliveries_repeated > 0, "no kill struck while a task was on its way"


@pytest.mark.slow
def test_the_same_holds_where_the_server_outlives_the_process(
    tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    verdict = Matrix(PostgresPlace(own_postgres_server.dsn), tmp_path, KILLS, a_seed()).run()
    print(verdict.in_words())
    assert verdict.findings == [], verdict.in_words()
    assert verdict.kills == KILLS
    assert verdict.runs > KILLS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_runs_kept_as_snapshots_all_survive_with_whatever_came_from_outside(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place: Place = SqlitePlace(tmp_path / "aether.db")
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("own_postgres_server")
        place = PostgresPlace(server.dsn)
    verdict = Matrix(place, tmp_path, KILLS_OF_SNAPSHOTS, a_seed(), SNAPSHOT).run()
    print(verdict.in_words())
    assert verdict.findings == [], verdict.in_words()
    assert verdict.kills == KILLS_OF_SNAPSHOTS
    assert verdict.runs > KILLS_OF_SNAPSHOTS


@pytest.mark.slow
def test_a_store_of_ones_own_loses_nothing_either(tmp_path: Path) -> None:
    """Record calls on files, without transactions: what makes them one decision is the bridge."""
    place = FilesPlace(tmp_path / "records")
    verdict = Matrix(place, tmp_path, KILLS_OF_FILES, a_seed()).run()
    print(verdict.in_words())
    assert verdict.findings == [], verdict.in_words()
    assert verdict.kills == KILLS_OF_FILES
    assert verdict.runs > KILLS_OF_FILES
