"""What memory holds, among other engines: letters that were dealt with already, sessions that are over."""

from __future__ import annotations

import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.store.memory import MemoryStore
from aether.engine.faults import Faults
from aether.engine.tiers import Tiers
from aether.ports import Claim, Committed, Conflict, Consumed, Session
from aether.record import MEMORY, SNAPSHOT, Phase, RunPatch, TaskPatch
from aether.testing import FakeClock
from aether.testing.rows import START, a_run, a_task, changing, creating


async def test_a_letter_that_was_read_already_costs_no_step_that_is_not_on_disk_yet() -> None:
    disk, sink, clock = MemoryStore(shared=True), CollectingSink(), FakeClock(START)
    tiers = Tiers(disk, MemoryStore(), clock, Faults(sink))
    await tiers.open()
    run = a_run("run", tier=SNAPSHOT, phase=Phase.RUNNING)
    [made] = await tiers.commit([creating(run, tasks=[a_task(0)])])
    assert isinstance(made, Committed)
    step = changing("run", made.token, RunPatch(done=1), tasks=[TaskPatch(0, phase=Phase.RUNNING)])
    [taken] = await tiers.commit([step])
    assert isinstance(taken, Committed)
    letter = changing("run", taken.token, outside=True, consumed=[Consumed("read-already")])
    [outcome] = await tiers.commit([letter])
    assert isinstance(outcome, Conflict)
    (rows,) = await tiers.load(["run"])
    assert rows is not None
    assert (rows.run.done, rows.tasks[0].phase) == (1, Phase.RUNNING)
    end = RunPatch(phase=Phase.SUCCEEDED)
    [ended] = await tiers.commit([changing("run", rows.run.token, end)])
    assert isinstance(ended, Committed)
    kept = await disk.run("run")
    assert kept is not None
    assert (kept.phase, kept.done) == (Phase.SUCCEEDED, 1)
    assert sink.faults == []
    await tiers.close()


@pytest.mark.parametrize("tier", [SNAPSHOT, MEMORY])
async def test_a_run_that_was_being_made_as_the_session_was_lost_can_be_claimed(tier) -> None:
    disk, clock = MemoryStore(shared=True), FakeClock(START)
    tiers = Tiers(disk, MemoryStore(), clock, Faults(CollectingSink()))
    await tiers.open()
    lost = (await tiers.session(Session(lease=1))).number
    await disk.end_session(lost)
    session = (await tiers.session(Session(lease=1))).number
    [made] = await tiers.commit([creating(a_run("run", tier=tier, owner=lost))])
    assert isinstance(made, Committed)
    assert await tiers.claim(["run"], session) == [Claim.TAKEN]
    (rows,) = await tiers.load(["run"])
    assert rows is not None
    assert rows.run.held_by == session
    assert await tiers.claim(["run"], session) == [Claim.MINE]
    await tiers.close()
