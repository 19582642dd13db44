"""The phase table is the only judge, and covers what the protocol says."""

from __future__ import annotations

import pytest

from aether.errors import EngineBug
from aether.plan import CONTAINER_MOVES, LEAF_MOVES, RUN_MOVES
from aether.plan.phase import check_move, phase_of
from aether.record import Phase

TABLES = {"leaf": LEAF_MOVES, "container": CONTAINER_MOVES, "run": RUN_MOVES}
PROTOCOL = {
    "leaf": """
        Created Ready | Created Skipped | Ready Running | Running Suspended
        Running Succeeded | Running Failed | Running Error | Running Timeout
        Suspended Ready | Suspended Error | Suspended Timeout | Running Created | Suspended Created
        Created Cancelled | Ready Cancelled | Running Cancelled | Suspended Cancelled
        Created Timeout | Ready Timeout | Created Error | Ready Error | Ready Created
    """,
    "container": """
        Created Ready | Ready Running | Running Succeeded | Running Failed | Running Error
        Created Succeeded | Created Error | Ready Cancelled | Running Timeout | Running Created
        Created Skipped | Ready Error | Ready Timeout
    """,
    "run": """
        Created Ready | Ready Running | Running Succeeded | Running Failed | Running Error
        Created Succeeded | Created Cancelled | Created Timeout | Ready Cancelled | Ready Timeout
        Running Timeout | Running Cancelled
    """,
}


@pytest.mark.parametrize("table", TABLES)
def test_every_move_of_the_protocol_is_legal(table):
    for move in PROTOCOL[table].replace("\n", "|").split("|"):
        if move.strip():
            before, after = move.split()
            check_move(TABLES[table], "it", Phase(before), Phase(after))


@pytest.mark.parametrize("table", TABLES)
def test_every_move_that_is_not_in_the_table_is_a_bug_of_the_engine(table):
    moves = TABLES[table]
    illegal = [(a, b) for a in Phase for b in Phase if b not in moves.get(a, ())]
    assert len(illegal) > 50
    for before, after in illegal:
        with pytest.raises(EngineBug, match=f"from {before} to {after}"):
            check_move(moves, "it", before, after)


@pytest.mark.parametrize("table", TABLES)
def test_terminal_phases_have_no_way_out(table):
    assert not any(phase.is_terminal for phase in TABLES[table])


def test_only_running_work_is_suspended_and_only_what_never_began_is_skipped():
    assert [a for a, after in LEAF_MOVES.items() if Phase.SUSPENDED in after] == [Phase.RUNNING]
    for moves in (LEAF_MOVES, CONTAINER_MOVES):
        assert [a for a, after in moves.items() if Phase.SKIPPED in after] == [Phase.CREATED]
    assert Phase.SUSPENDED not in CONTAINER_MOVES
    assert Phase.SUSPENDED not in RUN_MOVES


def test_result_codes_mean_what_the_protocol_says():
    codes = [str(phase_of(code)) for code in (0, 1, 2, 3, 4, 5, -1, 99)]
    assert codes == ["Succeeded", "Suspended", "Failed", "Error", "Timeout"] + ["Error"] * 3
