"""Functions in processes that are killed with `kill -9`: `make crash KILLS=300` kills more of them.

A failure prints its seed: repeat it with AETHER_CRASH_SEED.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aether.record import ACTION_LOG, SNAPSHOT
from aether.testing.postgres import PostgresServer, own_postgres_server
from crash.functions import FunctionsMatrix, faults_of_order
from crash.places import PostgresPlace, SqlitePlace
from crash.test_crash_matrix import a_seed

__all__ = ["own_postgres_server"]  # a fixture

KILLS = 10


@pytest.mark.slow
@pytest.mark.parametrize("tier", [ACTION_LOG, SNAPSHOT])
def test_functions_end_as_without_kills_and_execute_nothing_again_that_is_on_record(
    tier: str, tmp_path: Path
) -> None:
    place = SqlitePlace(tmp_path / "aether.db")
    verdict = FunctionsMatrix(place, tmp_path, KILLS, a_seed(), tier).run()
    print(verdict.in_words())
    assert verdict.findings == [], verdict.in_words()
    assert verdict.kills == KILLS
    assert verdict.repeated > 0 or verdict.runs < KILLS, "no kill struck while a call was under way"


@pytest.mark.slow
def test_the_same_holds_for_functions_where_the_server_outlives_the_process(
    tmp_path: Path, own_postgres_server: PostgresServer
) -> None:
    place = PostgresPlace(own_postgres_server.dsn)
    verdict = FunctionsMatrix(place, tmp_path, KILLS // 2, a_seed()).run()
    print(verdict.in_words())
    assert verdict.findings == [], verdict.in_words()


def test_call_that_is_executed_again_behind_a_later_one_is_found() -> None:
    assert not list(faults_of_order(["r 1-a 0", "r 1-a 0", "r 1-a 1", "r 2-charge 0", "q 1-a 0"]))
    assert list(faults_of_order(["r 1-a 0", "r 1-a 1", "r 1-a 0"]))
    assert list(faults_of_order(["r 1-a 0", "r 2-charge 0", "r 1-a 0"]))
    assert not list(faults_of_order(["r 5-branch0 1", "r 5-branch1 0"]))
