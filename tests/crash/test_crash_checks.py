"""The crash matrix finds what it is there to find."""

from __future__ import annotations

import os
from copy import deepcopy

import pytest

from aether.ports import LogEntry
from aether.record import (
    Change,
    NamedValue,
    Phase,
    RunPatch,
    RunRows,
    TaskPatch,
    encode_values,
    head_of,
    seal,
)
from aether.testing.rows import a_run, a_task
from crash.checks import (
    differences,
    faults_at_death,
    faults_of_acks,
    faults_of_effects,
    faults_of_log,
    faults_of_pauses,
    faults_of_repeated_effects,
    faults_of_rows,
    pauses_of,
    signature,
    unanswered,
)
from crash.disks import fill, small_disk_of
from crash.fault_points import Fuse, Fused

OVER = Phase.SUCCEEDED


def a_log(*decisions: list[Change]) -> list[LogEntry]:
    log, head = [], b""
    for seq, changes in enumerate(decisions, 1):
        sealed = seal(head, seq, 1, changes, bytes(16))
        head = sealed.head
        log.append(LogEntry(seq, 1, sealed.body))
    return log


def an_ended_run() -> tuple[RunRows, list[LogEntry]]:
    first = [a_run("r", seq=1, total=1), a_task(0, delivery=1)]
    ends = [TaskPatch(0, phase=OVER), RunPatch(phase=OVER, done=1, seq=2)]
    log = a_log(first, ends)
    run = a_run("r", seq=2, total=1, done=1, phase=OVER, token=7, head=head_of(log[-1].body))
    return RunRows(run, {0: a_task(0, delivery=1, phase=OVER)}), log


def test_a_run_that_is_as_its_log_says_has_no_faults() -> None:
    rows, log = an_ended_run()
    assert [*faults_of_log(rows, log), *faults_of_rows(rows)] == []


def test_a_log_with_a_gap_a_second_end_or_another_state_is_found() -> None:
    rows, log = an_ended_run()
    assert list(faults_of_log(rows, log[:1])) == ["the log's numbers are [1], the run's is 2"]
    ends: list[Change] = [TaskPatch(0, phase=OVER), RunPatch(seq=3)]
    sealed = seal(rows.run.head, 3, 1, ends, bytes(16))
    rows.run.seq = 3
    twice = [*log, LogEntry(3, 1, sealed.body)]
    found = list(faults_of_log(rows, twice))
    assert "task run 0 ended 2 times" in found
    rows.run.head, before = sealed.head, rows.run.head
    assert list(faults_of_log(rows, twice)) == ["task run 0 ended 2 times"]
    rows.run.head = before
    rows.run.seq = 2
    rows.tasks[0].outputs = b"[]"
    assert list(faults_of_log(rows, log)) == [
        "outputs of task run 0 is None in the log, b'[]' in the rows"
    ]


def test_a_task_recorded_twice_and_a_count_that_is_wrong_are_found() -> None:
    rows, _ = an_ended_run()
    rows.tasks[1] = a_task(1, task_name="task-0")
    found = list(faults_of_rows(rows))
    assert found[0] == "(None, '', 'task-0') is recorded 2 times"
    assert found[1].startswith("there are 2 task runs, 1 over")
    assert found[2] == "task run 1 is Created in a run that is over"


def test_another_end_than_without_kills_is_found() -> None:
    rows, _ = an_ended_run()
    wanted = signature(deepcopy(rows))
    assert list(differences(signature(rows), wanted)) == []
    rows.tasks[0].retry_count = 1
    rows.run.outputs = encode_values([NamedValue("n", "", 1)])
    found = list(differences(signature(rows), wanted))
    assert found[0] == "outputs is {'n': 1}, and {} without kills"
    assert "'retries': 1" in found[1]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["r.0 1 1"], []),
        (["r.0 1 1", "r.0 1 1"], ["delivery 1 of r.0 was executed 2 times"]),
        (["r.0 1 2"], ["r.0 was executed as delivery 2 of 1"]),
        (["gone.0 1 1"], ["gone.0 was executed and is not recorded"]),
    ],
)
def test_an_effect_that_no_delivery_accounts_for_is_found(
    lines: list[str], found: list[str]
) -> None:
    assert list(faults_of_effects(lines, {"r": an_ended_run()[0]})) == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["r.0 1 1", "r.0 2 1", "r.0 2 2"], []),
        (["r.0 2 1", "r.0 2 1"], ["delivery 1 of r.0 was executed 2 times in epoch 2"]),
        (["r.0 3 1"], ["r.0 was executed in epoch 3 of 2"]),
        (["gone.0 1 1"], ["gone.0 was executed and is not recorded"]),
    ],
)
def test_a_step_may_run_again_only_behind_an_epoch_of_its_own(
    lines: list[str], found: list[str]
) -> None:
    rows = an_ended_run()[0]
    rows.run.epoch = 2
    assert list(faults_of_repeated_effects(lines, {"r": rows})) == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["open", "accepted r 1", "ended r Succeeded 2"], []),
        (["accepted gone 1"], ["gone was accepted and is gone"]),
        (["acked cancel r"], ["r was cancelled, and is Succeeded"]),
        (["asks pause r", "acked pause r me"], ["r was paused, and the store does not say so"]),
        (["asks pause r", "acked pause r me", "asks unpause r"], []),
        (["asks pause r", "acked pause r me", "asks unpause r", "acked unpause r"], []),
    ],
)
def test_what_a_dead_process_had_acknowledged_is_looked_for_at_once(
    lines: list[str], found: list[str]
) -> None:
    assert list(faults_at_death(lines, {"r": an_ended_run()[0]})) == found


@pytest.mark.parametrize(
    ("ack", "found"),
    [
        (("ended", "r", "Succeeded", "2"), ""),
        (("ended", "r", "Succeeded", "3"), "r was seen Succeeded at 3"),
        (("ended", "r", "Failed", "2"), "r was seen Failed at 2"),
        (("cancel", "r"), "r was cancelled, and is Succeeded"),
        (("cancel", "gone"), "cancel of gone was acknowledged, and there is no such run"),
        (("resume", "r.0", "life-1"), "r.0 was resumed by life-1, and knows {}"),
    ],
)
def test_an_acknowledgement_without_its_change_is_found(ack: tuple[str, ...], found: str) -> None:
    faults = list(faults_of_acks([ack], {"r": an_ended_run()[0]}))
    assert [fault[: len(found)] for fault in faults] == ([found] if found else [])


def test_a_pause_that_was_acknowledged_is_in_the_log_unless_a_letter_came_first() -> None:
    lives = [
        ["asks pause r", "acked pause r life-0", "asks unpause r", "acked unpause r"],
        ["asks pause r"],
        ["asks pause r", "acked pause r life-2"],
    ]
    asked = unanswered(lives)
    assert asked == {("pause", "r", "life-1")}
    ack = ["pause", "r", "life-2"]
    assert list(faults_of_pauses([ack], {"r": ["life-2"]}, asked)) == []
    assert list(faults_of_pauses([ack], {"r": ["life-0", "", "life-1"]}, asked)) == []
    lost = ["r was paused by life-2, and its log does not say so"]
    assert list(faults_of_pauses([ack], {"r": ["life-0", ""]}, asked)) == lost
    assert list(faults_of_pauses([["unpause", "r"]], {"r": ["life-0"]}, asked)) == [
        "r was unpaused, and its log does not say so"
    ]
    paused = ["asks pause r", "acked pause r life-2"]
    assert list(faults_at_death(paused, {"r": an_ended_run()[0]}, {"r"})) == []


def test_pauses_are_read_from_the_log() -> None:
    log = a_log([a_run("r")], [RunPatch(paused_by="me")], [RunPatch(paused_by="")])
    assert pauses_of(log) == ["me", ""]


async def test_a_fault_point_strikes_once_and_where_it_was_asked_for() -> None:
    struck: list[str] = []

    class Inner:
        calls = 0
        other = "passed on"

        async def commit(self) -> int:
            self.calls += 1
            return self.calls

    fuse = Fuse("after-commit:2", lambda: struck.append("struck"))
    fused = Fused(Inner(), ("commit",), fuse)
    assert fused.other == "passed on"
    assert (await fused.commit(), struck) == (1, [])
    assert (await fused.commit(), struck) == (2, ["struck"])
    assert (await fused.commit(), struck) == (3, ["struck"])
    with pytest.raises(ValueError, match="no fault point"):
        Fuse("sometime:1", struck.clear)


@pytest.mark.parametrize("account", [0, 1000])
def test_a_small_disk_is_to_be_had_for_every_account(
    account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if account and os.geteuid() == 0:
        monkeypatch.setattr(os, "geteuid", lambda: account)
    with small_disk_of(4 << 20) as place:
        fill(place, leave=1 << 16)
        with pytest.raises(OSError, match="No space left"):
            (place / "more").write_bytes(bytes(1 << 18))
        database = place / "small.db"
        assert database.parent.is_dir()
    assert not database.exists()
