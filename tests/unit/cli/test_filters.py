"""Filters of runs: what is typed becomes a query, and a query the runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import pytest
from click.testing import CliRunner

from aether.adapters.store.memory import MemoryStore
from aether.cli.filters import each_run, has_filters, query_of, run_filters
from aether.errors import Refused
from aether.ports import RunQuery
from aether.record import STATES, Phase
from aether.testing.rows import START, a_run, committed, creating

NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000


def typed(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @click.command()
    @run_filters
    def command(**given: Any) -> None:
        found.update(given)

    answer = CliRunner().invoke(command, list(arguments))
    assert answer.exit_code == 0, answer.output
    return found


def query(*arguments: str) -> RunQuery:
    return query_of(typed(*arguments), NOON)


def test_without_a_filter_all_runs_are_meant() -> None:
    assert query() == RunQuery()
    assert not has_filters(typed())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--phase", "failed", "--phase", "Error"], {"phases": (Phase.ERROR, Phase.FAILED)}),
        (["--state", "pending"], {"phases": (Phase.CREATED, Phase.READY)}),
        (["--state", "CANCELLED", "--phase", "Ready"], {"phases": (Phase.CANCELLED, Phase.READY)}),
        (["--type", "etl"], {"name": "etl"}),
        (["--name", "etl", "--cron", "c"], {"name": "etl", "cron_id": "c"}),
        (["--label", "a=b=c", "--label", "d="], {"labels": {"a": "b=c", "d": ""}}),
        (["--text", "No luck"], {"text": "No luck"}),
        (["--since", "2h"], {"created_from": NOON - 2 * HOUR}),
        (["--since", "7d", "--until", "2h"], {"created_from": NOON - 168 * HOUR, "created_to": NOON - 2 * HOUR}),
        (["--until", "2026-03-02"], {"created_to": NOON - 12 * HOUR}),
        (["--finished-since", "2026-03-02T13:00+02:00"], {"finished_from": NOON - HOUR}),
        (["--finished-until", "2026-03-02T11:00:00Z"], {"finished_to": NOON - HOUR}),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_a_query(arguments: list[str], expected: dict[str, Any]) -> None:
    assert query(*arguments) == RunQuery(**expected)
    assert has_filters(typed(*arguments))


def test_unfinished_is_every_phase_that_is_not_terminal() -> None:
    assert {phase.is_terminal for phase in query("--unfinished").phases} == {False}
    assert len(query("--unfinished").phases) == 4


def test_the_states_share_out_the_phases_of_runs() -> None:
    named = [phase for phases in STATES.values() for phase in phases]
    assert len(named) == len(set(named))
    assert set(Phase) - set(named) == {Phase.SKIPPED}  # no run is ever skipped


@pytest.mark.parametrize(
    "arguments",
    [["--label", "team"], ["--label", "a=1", "--label", "a=2"], ["--since", "soon"],
     ["--until", "2026-13-01"], ["--finished-since", "-1h"]],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_way_out(arguments: list[str]) -> None:
    with pytest.raises(Refused) as caught:
        query(*arguments)
    assert caught.value.code == "bad-argument"
    assert arguments[0] in str(caught.value)


async def test_each_run_goes_through_all_pages_and_stops_where_it_is_told() -> None:
    store = MemoryStore()
    for number in range(1_200):
        row = a_run(f"r{number:04}", name="xy"[number % 2], created_at=START + number)
        await committed(store, creating(row))
    found = [run.run_id async for run in each_run(store, RunQuery(name="x", newest_first=False))]
    assert found == [f"r{number:04}" for number in range(0, 1_200, 2)]
    assert len([run async for run in each_run(store, RunQuery(), most=7)]) == 7
