"""How stores go through their runs: no page takes long, and none loses a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from aether.adapters import listings
from aether.adapters.store import SqliteStore
from aether.adapters.store.memory import MemoryStore
from aether.ports import RunQuery, Store
from aether.record import Phase
from aether.testing.rows import START, a_run, committed, creating

EVERY = 100
MANY = 1_000


async def fill(store: Store) -> None:
    """Every hundredth run is another's."""
    for number in range(MANY):
        rare = number % EVERY == 0
        row = a_run(
            f"{'rare' if rare else 'r'}{number:04}",
            name="rare" if rare else "load",
            namespace="other" if rare else "default",
            message="a rare word" if rare else "",
            labels={"team": "rare"} if rare else None,
            phase=Phase.FAILED if rare else Phase.SUCCEEDED,
            created_at=START + number // 3,
            finished_at=START + 5_000 + number,
        )
        await committed(store, creating(row))


QUERIES = [
    RunQuery(text="RARE"),
    RunQuery(namespace="other"),
    RunQuery(name="rare", text="word"),
    RunQuery(id_prefix="rare"),
    RunQuery(id_prefix="r", text="word"),
    RunQuery(labels={"team": "rare"}, text="word"),
    RunQuery(phases=(Phase.FAILED, Phase.ERROR)),
    RunQuery(phases=(Phase.FAILED, Phase.SUCCEEDED), text="rare"),
]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_short_pages_join_to_the_whole_answer(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "LOOKED_AT", 64)
    monkeypatch.setattr("aether.adapters.store.sqlite.reader.FEW", 32)
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "aether.db")
    await store.open()
    try:
        await fill(store)
        expected = [f"rare{number:04}" for number in range(0, MANY, EVERY)]
        for given in QUERIES:
            for newest_first, limit in ((True, 3), (False, 4), (True, 50)):
                query = replace(given, newest_first=newest_first, limit=limit)
                found, pages = [], 0
                while True:
                    page = await store.runs(query)
                    found += [row.run_id for row in page.runs]
                    pages += 1
                    assert len(page.runs) <= limit
                    if not page.cursor:
                        break
                    query = replace(query, after=page.cursor)
                assert found == (expected[::-1] if newest_first else expected), given
    finally:
        await store.close()


async def test_a_page_of_rare_runs_looks_at_some_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "LOOKED_AT", 64)
    store = MemoryStore()
    await fill(store)
    page = await store.runs(RunQuery(text="rare0900", limit=5))
    assert (page.runs, bool(page.cursor)) == ([], True)
    page = await store.runs(RunQuery(text="rare0900", limit=5, after=page.cursor))
    assert [row.run_id for row in page.runs] == ["rare0900"]


def test_a_page_that_fills_at_once_reads_no_more_than_it_shows() -> None:
    gathering = listings.Gathering(RunQuery(limit=20))
    assert gathering.wanted == 21
    for number in range(21):
        gathering.take(a_run(f"r{number}", created_at=START - number))
    assert len(gathering.page().runs) == 20
    searching = listings.Gathering(RunQuery(limit=20, text="nobody"))
    asked: list[int] = []
    while not asked or sum(asked) < listings.LOOKED_AT:
        asked.append(searching.wanted)
        rows = [a_run(f"r{number}", created_at=START - number) for number in range(asked[-1])]
        page = searching.read(rows, asked[-1])
    assert asked[0] == 21
    assert len(asked) <= 5
    assert sum(asked) == listings.LOOKED_AT
    assert page is not None
    assert (page.runs, bool(page.cursor)) == ([], True)
