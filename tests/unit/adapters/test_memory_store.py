"""MemoryStore beyond its port: what it costs, and that its log tells its whole story."""

from __future__ import annotations

import tracemalloc
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aether.adapters.store import MemoryStore, store_from
from aether.adapters.store.memory.order import SortedKeys
from aether.ports import Commit, LogEntry, Store
from aether.record import (
    Change,
    HookPatch,
    HookRow,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    TaskPatch,
    TaskRow,
    apply,
    decode_changes,
    encode_changes,
)
from aether.testing import DictRecords
from aether.testing.rows import a_hook, a_run, a_task, changing, committed, creating, loaded

PHASES = st.sampled_from(Phase)
PAYLOADS = st.none() | st.binary(max_size=4)
INSTANTS = st.none() | st.integers(0, 2**50)


@st.composite
def decisions(draw: st.DrawFn) -> list[list[Change]]:
    """The changes of some commits of one run that follow one another validly."""
    row = a_run("run", seq=1, message=draw(st.text(max_size=3)), outputs=draw(PAYLOADS))
    tasks = hooks = 0
    found: list[list[Change]] = []
    for number in range(draw(st.integers(1, 6))):
        if number:
            changes: list[Change] = [
                RunPatch(
                    seq=number + 1,
                    **draw(_some(phase=PHASES, due_at=INSTANTS, done=st.integers(0, 9))),
                )
            ]
        else:
            changes = [row]
        for _ in range(draw(st.integers(0, 4))):
            match draw(st.sampled_from(["task", "task", "patch", "patch", "hook", "told"])):
                case "task":
                    tasks += 1
                    changes.append(a_task(tasks - 1, inputs=draw(PAYLOADS), phase=draw(PHASES)))
                case "hook":
                    hooks += 1
                    changes.append(a_hook(hooks - 1, phase=draw(PHASES)))
                case "patch" if tasks:
                    members = draw(_some(phase=PHASES, outputs=PAYLOADS, retry_at=INSTANTS))
                    changes.append(TaskPatch(draw(st.integers(0, tasks - 1)), **members))
                case "told" if hooks:
                    members = draw(_some(phase=PHASES, outputs=PAYLOADS, notified=st.booleans()))
                    place = draw(st.integers(0, hooks - 1))
                    changes.append(HookPatch(number=place, **members))
        found.append(changes)
    return found


def _some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


def _commit(changes: list[Change], seq: int, token: int | None) -> Commit:
    log = LogEntry(seq, seq, encode_changes(changes))
    tasks = [change for change in changes if isinstance(change, TaskRow | TaskPatch)]
    hooks = [change for change in changes if isinstance(change, HookRow | HookPatch)]
    run = changes[0]
    if isinstance(run, RunRow):
        return creating(run, tasks=tasks, hooks=hooks, log=log)
    assert isinstance(run, RunPatch)
    assert token is not None
    return changing("run", token, run, tasks, hooks, log=log)


async def _replayed(store: Store, until: int) -> RunRows | None:
    rows: RunRows | None = None
    for entry in await store.history("run"):
        if entry.seq <= until:
            for change in decode_changes(entry.body):
                rows = apply(rows, change)
    return rows


@settings(max_examples=150, deadline=None)
@given(decisions())
async def test_the_rows_are_the_log_applied_at_every_seq(script: list[list[Change]]) -> None:
    store = MemoryStore(history=True)
    token: int | None = None
    held: list[RunRows] = []
    for seq, changes in enumerate(script, 1):
        token = await committed(store, _commit(changes, seq, token))
        rows = await loaded(store, "run")
        rows.run.token = 0
        held.append(rows)
    for seq, rows in enumerate(held, 1):
        assert await _replayed(store, seq) == rows


@settings(max_examples=100, deadline=None)
@given(decisions())
async def test_a_store_on_record_calls_holds_the_same_rows(script: list[list[Change]]) -> None:
    stores = [MemoryStore(), store_from(DictRecords())]
    tokens: list[int | None] = [None, None]
    for seq, changes in enumerate(script, 1):
        held = []
        for place, store in enumerate(stores):
            tokens[place] = await committed(store, _commit(changes, seq, tokens[place]))
            rows = await loaded(store, "run")
            assert rows.run.token == tokens[place]
            rows.run.token = 0
            held.append((rows, [run.run_id for run in await store.unfinished()]))
        assert held[0] == held[1]


@settings(max_examples=60, deadline=None)
@given(decisions())
async def test_a_commit_leaves_its_rows_alone(script: list[list[Change]]) -> None:
    store = MemoryStore()
    token: int | None = None
    before = deepcopy(script)
    for seq, changes in enumerate(script, 1):
        token = await committed(store, _commit(changes, seq, token))
    assert script == before


async def test_payloads_are_shared_not_copied() -> None:
    store = MemoryStore()
    payload = bytes(range(200))
    await committed(store, creating(a_run("run"), tasks=[a_task(0, inputs=payload)]))
    assert (await loaded(store, "run")).tasks[0].inputs is payload


async def test_without_history_no_log_is_kept() -> None:
    store = MemoryStore()
    assert not store.keeps_log
    await committed(store, creating(a_run("run"), log=LogEntry(1, 1, b"x")))
    assert await store.history("run") == []


async def test_a_task_row_takes_less_than_450_bytes() -> None:
    store = MemoryStore()
    token = await committed(store, creating(a_run("run")))
    count = 10_000
    tracemalloc.start()
    try:
        for first in range(0, count, 250):
            at = 1_750_000_000_000_000 + first
            rows = [
                a_task(
                    ordinal,
                    parent=0,
                    depth=1,
                    scope=f"items.loop[{ordinal}]/",
                    task_name="body",
                    index=ordinal,
                    phase=Phase.READY,
                    created_at=at,
                    ready_at=at,
                )
                for ordinal in range(first, first + 250)
            ]
            token = await committed(store, changing("run", token, tasks=rows))
        del rows
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / count < 450, f"{size / count:.0f} bytes"


async def test_a_store_that_held_many_runs_holds_nothing_of_them_once_they_are_deleted() -> None:
    store = MemoryStore(history=True)
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(3):
            for number in range(500):
                run = a_run(f"r{number}", cron_id="c", document=b"%d" % number)
                commit = creating(run, tasks=[a_task(0)], log=LogEntry(1, 1, b"x"))
                await committed(store, commit)
            await store.unfinished()
            for number in range(500):
                await store.delete(f"r{number}")
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[2] - sizes[0] < 20_000, sizes


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "discard", "behind", "before"]), st.integers(0, 30)
        )
    )
)
def test_sorted_keys_are_a_set_walked_in_order(calls: list[tuple[str, int]]) -> None:
    keys: SortedKeys[int] = SortedKeys()
    model: set[int] = set()
    for call, key in calls:
        if call == "add":
            keys.add(key)
            model.add(key)
        elif call == "discard":
            keys.discard(key)
            model.discard(key)
        elif call == "behind":
            assert list(keys.behind(key)) == sorted(each for each in model if each > key)
        else:
            expected = sorted((each for each in model if each < key), reverse=True)
            assert list(keys.before(key)) == expected
    assert list(keys.behind()) == sorted(model)
    assert list(keys.before()) == sorted(model, reverse=True)
    assert len(keys) == len(model)


def test_keys_that_come_and_go_leave_no_trace() -> None:
    keys: SortedKeys[str] = SortedKeys()
    for number in range(5000):
        keys.add(str(number))
        if number % 10 == 0:
            assert list(keys.behind()) == [str(number)]
        keys.discard(str(number))
    assert len(keys._sorted or []) + len(keys._added) < 200
