"""A store on record calls: a crash between any two calls leaves each commit whole or undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from aether.adapters.store import MemoryStore, RecordsOver, store_from
from aether.errors import CommitUnknown, StoreUnavailable
from aether.ports import Commit, Committed, Records, Store
from aether.record import HookPatch, Phase, RunPatch, RunRows, TaskPatch
from aether.testing.dict_records import DictRecords
from aether.testing.rows import (
    a_hook,
    a_run,
    a_task,
    changing,
    commit_one,
    committed,
    creating,
    loaded,
)


class Crash(BaseException):
    """The process is gone."""


class Watched:
    """Records that call `before` and `after` around every call, with the number of the call."""

    def __init__(
        self,
        records: Records,
        before: Callable[[int], Any] | None = None,
        after: Callable[[int], Any] | None = None,
    ) -> None:
        self.records = records
        self.calls = 0
        self.before = before
        self.after = after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.records, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            number = self.calls
            await _told(self.before, number)
            result = await real(*args, **kwargs)
            await _told(self.after, number)
            return result

        return call


async def _told(listener: Callable[[int], Any] | None, number: int) -> None:
    if listener is not None:
        answer = listener(number)
        if answer is not None:
            await answer


def _crash_at(number: int) -> Callable[[int], None]:
    def crash(call: int) -> None:
        if call == number:
            raise Crash

    return crash


def _script() -> list[Callable[[int | None], Commit]]:
    """Decisions on one run, each made from the token that the run has by then."""
    steps: list[tuple[RunPatch, list[Any], list[Any]]] = [
        (
            RunPatch(phase=Phase.RUNNING, seq=2),
            [TaskPatch(0, phase=Phase.READY, delivery=1), a_task(1), a_task(2)],
            [a_hook(0), HookPatch(number=0, notified=True)],
        ),
        (
            RunPatch(seq=3),
            [TaskPatch(1, phase=Phase.READY), TaskPatch(2, worker="w"), a_task(3)],
            [a_hook(1)],
        ),
        (RunPatch(seq=4), [TaskPatch(1, phase=Phase.RUNNING, started_at=9)], []),
        (
            RunPatch(seq=5),
            [a_task(2, phase=Phase.SKIPPED), TaskPatch(2, message="after all")],
            [HookPatch(number=0, phase=Phase.SUCCEEDED)],
        ),
        (RunPatch(seq=6, due_at=77), [], []),
        (
            RunPatch(seq=7, phase=Phase.SUCCEEDED, outputs=b"[]"),
            [TaskPatch(number, phase=Phase.SUCCEEDED, outputs=b"[1]") for number in range(4)],
            [],
        ),
        (RunPatch(seq=8), [], [HookPatch(number=1, phase=Phase.FAILED, message="no answer")]),
    ]
    first = creating(a_run("run", seq=1), tasks=[a_task(0)])
    return [lambda _: first, *(partial(_step, step) for step in steps)]


def _step(step: tuple[RunPatch, list[Any], list[Any]], token: int | None) -> Commit:
    assert token is not None
    return changing("run", token, *step)


SCRIPT = _script()


async def _states() -> list[RunRows | None]:
    """What the run holds after each decision, as a store that commits atomically says."""
    store = MemoryStore()
    states: list[RunRows | None] = [None]
    token: int | None = None
    for make in SCRIPT:
        token = await committed(store, make(token))
        states.append(_plain(await loaded(store, "run")))
    return states


def _plain(rows: RunRows | None) -> RunRows | None:
    return rows and RunRows(replace(rows.run, token=0), rows.tasks, rows.hooks)


async def _run_script(store: Store, done: int = 0) -> int:
    """Carry out the script from its `done`-th decision on: how many were acknowledged by then."""
    try:
        row = await store.run("run")
        token = row.token if row is not None else None
        for make in SCRIPT[done:]:
            outcome = await commit_one(store, make(token))
            assert isinstance(outcome, Committed), outcome
            token = outcome.token
            done += 1
    except Crash:
        pass
    return done


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_at_any_call_leaves_each_commit_whole_or_undone(when: str) -> None:
    states = await _states()
    undisturbed = Watched(DictRecords())
    assert await _run_script(store_from(undisturbed)) == len(SCRIPT)
    assert undisturbed.calls > 25
    for number in range(1, undisturbed.calls + 1):
        records = DictRecords()
        watched = Watched(records, **{when: _crash_at(number)})
        acknowledged = await _run_script(store_from(watched))
        store = store_from(records)
        [rows] = await store.load(["run"])
        found = _plain(rows)
        assert found in states[acknowledged : acknowledged + 2], f"half a commit at call {number}"
        done = states.index(found)
        assert await _run_script(store, done) == len(SCRIPT)
        assert _plain(await loaded(store, "run")) == states[-1]
        assert list(await store.unfinished()) == []
        assert list(await records.list_active_runs()) == []


async def test_recovery_may_crash_at_any_call_too() -> None:
    states = await _states()
    for number in range(1, 30):
        for again in range(1, 12):
            records = DictRecords()
            acknowledged = await _run_script(store_from(Watched(records, after=_crash_at(number))))
            recovering = store_from(Watched(records, after=_crash_at(again)))
            with suppress(Crash):
                await recovering.load(["run"])
            [rows] = await store_from(records).load(["run"])
            assert _plain(rows) in states[acknowledged : acknowledged + 2]


async def test_the_first_call_after_a_crash_may_be_a_commit() -> None:
    states = await _states()
    for number in range(1, 30):
        records = DictRecords()
        acknowledged = await _run_script(store_from(Watched(records, after=_crash_at(number))))
        store = store_from(records)
        row = await store.run("run")
        done = row.seq if row is not None else 0
        assert done in (acknowledged, acknowledged + 1)
        assert await _run_script(store, done) == len(SCRIPT)
        assert _plain(await loaded(store, "run")) == states[-1]


async def test_a_run_whose_last_steps_are_open_is_still_unfinished_or_settled() -> None:
    for number in range(1, 40):
        records = DictRecords()
        await _run_script(store_from(Watched(records, after=_crash_at(number))))
        store = store_from(records)
        unfinished = [run.run_id for run in await store.unfinished()]
        [rows] = await store.load(["run"])
        if rows is None:
            assert unfinished == []
            continue
        open_hooks = any(not hook.phase.is_terminal for hook in rows.hooks.values())
        assert unfinished == (["run"] if open_hooks or not rows.run.phase.is_terminal else [])


async def test_a_slow_store_never_undoes_what_another_one_did_meanwhile() -> None:
    states = await _states()
    for held_call in range(1, 20):
        records, reached, go_on = DictRecords(), asyncio.Event(), asyncio.Event()

        async def hold(
            number: int, held_call: int = held_call, reached: Any = reached, go_on: Any = go_on
        ) -> None:
            if number == held_call:
                reached.set()
                await go_on.wait()

        slow = store_from(Watched(records, before=hold))
        late = asyncio.ensure_future(_carry_on(slow))
        await reached.wait()
        fast = store_from(records)
        [rows] = await fast.load(["run"])
        done = 0 if rows is None else rows.run.seq
        assert await _run_script(fast, done) == len(SCRIPT)
        go_on.set()
        await late
        assert _plain(await loaded(store_from(records), "run")) == states[-1], held_call


async def _carry_on(store: Store) -> None:
    """The script until somebody else gets in the way."""
    token: int | None = None
    for make in SCRIPT:
        outcome = await commit_one(store, make(token))
        if not isinstance(outcome, Committed):
            return
        token = outcome.token


async def test_a_task_record_changed_behind_the_store_takes_the_next_change_all_the_same() -> None:
    records = DictRecords()
    store = store_from(records)
    token = await committed(store, creating(a_run("run"), tasks=[a_task(0)]))
    task = await records.get_task_run("run.0")
    await records.update_task_run("run.0", TaskPatch(0, message="by hand"), task.token)
    await committed(store, changing("run", token, tasks=[TaskPatch(0, worker="w")]))
    assert (await loaded(store, "run")).tasks == {0: a_task(0, message="by hand", worker="w")}


async def test_an_outage_before_the_first_write_says_that_nothing_was_written() -> None:
    def lost(number: int) -> None:
        raise StoreUnavailable("gone")

    store = store_from(Watched(DictRecords(), before=lost))
    with pytest.raises(StoreUnavailable):
        await store.commit([creating(a_run("a")), creating(a_run("b"))])


async def test_an_outage_after_a_write_leaves_open_what_was_written() -> None:
    records = DictRecords()

    def lost(number: int) -> None:
        if number == 2:
            raise StoreUnavailable("gone")

    watched = Watched(records, before=lost)
    store = store_from(watched)
    with pytest.raises(CommitUnknown):
        await store.commit([creating(a_run("a"), tasks=[a_task(0)]), creating(a_run("b"))])
    rows = await loaded(store, "a")
    assert rows.tasks == {0: a_task(0)}
    assert await store.run("b") is None


async def test_a_store_under_record_calls_is_used_itself() -> None:
    store = MemoryStore()
    assert store_from(RecordsOver(store)) is store
