"""The chain of the action log: what it finds, and what may be erased without breaking it."""

from __future__ import annotations

import pytest

from aether.record import (
    Link,
    NamedValue,
    Phase,
    RunPatch,
    RunRow,
    TaskPatch,
    TaskRow,
    check_entry,
    check_head,
    decode_changes,
    encode_values,
    erase_payloads,
    seal,
)

SALT = bytes(range(16))
VALUES = encode_values([NamedValue("token", "", "a-secret-value")])
DECISIONS = [
    [
        RunRow(run_id="r", name="n", document=b"d", created_at=1, arguments=VALUES),
        TaskRow(ordinal=0, task_name="main", created_at=1, inputs=VALUES),
    ],
    [TaskPatch(0, phase=Phase.RUNNING)],
    [TaskPatch(0, phase=Phase.SUCCEEDED, outputs=VALUES), RunPatch(outputs=VALUES)],
    [RunPatch(phase=Phase.SUCCEEDED)],
]

Log = list[tuple[int, int, bytes]]


def sealed_log() -> tuple[Log, bytes]:
    head, log = b"", []
    for seq, changes in enumerate(DECISIONS, 1):
        entry = seal(head, seq, seq * 10, changes, SALT)
        log.append((seq, seq * 10, entry.body))
        head = entry.head
    return log, head


def faults(log: Log, head: bytes, seq: int = len(DECISIONS)) -> list[str]:
    link, found = Link(), []
    for entry in log:
        link, fault = check_entry(link, *entry)
        found += [fault] if fault else []
    fault = check_head(link, seq, head)
    return found + ([fault] if fault else [])


def test_untouched_log_verifies_and_gives_back_its_changes() -> None:
    log, head = sealed_log()
    assert faults(log, head) == []
    assert [decode_changes(body) for _, _, body in log] == DECISIONS


def test_sealing_leaves_the_changes_as_they_are() -> None:
    seal(b"", 1, 1, DECISIONS[0], SALT)
    row = DECISIONS[0][0]
    assert isinstance(row, RunRow)
    assert row.arguments == VALUES


def test_erased_payloads_are_gone_and_the_chain_still_verifies() -> None:
    log, head = sealed_log()
    erased = [(seq, at, erase_payloads(body)) for seq, at, body in log]
    assert faults(erased, head) == []
    assert b"a-secret-value" not in b"".join(body for _, _, body in erased)
    task = decode_changes(erased[0][2])[1]
    assert isinstance(task, TaskRow)
    assert task.inputs is None


@pytest.mark.parametrize("place", range(len(DECISIONS)))
def test_no_byte_of_an_entry_can_be_changed_unnoticed(place: int) -> None:
    log, head = sealed_log()
    seq, at, body = log[place]
    for index in range(0, len(body), 3):
        changed = bytearray(body)
        changed[index] ^= 1
        log[place] = (seq, at, bytes(changed))
        assert faults(log, head), f"byte {index} of {body!r}"


def test_gap_swap_cut_tail_and_foreign_head_are_found() -> None:
    log, head = sealed_log()
    assert "a gap, 2 missing" in faults([log[0], *log[2:]], head)[0]
    swapped = [(1, 10, log[0][2]), (2, 20, log[2][2]), (3, 30, log[1][2]), log[3]]
    assert "it says that it is entry 3" in faults(swapped, head)[0]
    assert faults(log[:-1], head) == ["the tail is cut: the last entry is 3, the run is at 4"]
    assert faults(log, bytes(32)) == ["entry 4: it was changed, or the run's head was"]
    assert faults(log, head, seq=3) == ["the log has 4 entries, the run is at 3"]


def test_time_of_an_entry_is_part_of_it() -> None:
    log, head = sealed_log()
    log[1] = (2, 21, log[1][2])
    assert "another place or time" in faults(log, head)[0]
