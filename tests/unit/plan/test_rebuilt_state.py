"""A state that was loaded from rows goes on exactly as the one that lived through it all.

Recovery relies on this: whatever happened before, the rows say enough. The runs are the random ones of
the oracle; here the plan is compared with itself, byte for byte.
"""

from __future__ import annotations

import copy
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from aether.errors import ProblemError
from aether.plan import State, TimePassed, decide_all
from aether.record import RunRows, encode_changes
from aether.testing.documents import random_document
from oracle.drive import Drive

DOCUMENTS = 500
TESTS = Path(__file__).parents[2]


def told(state, events):
    """What a state answers: changes as bytes, commands, and whether there is more."""
    try:
        decision = decide_all(state, copy.deepcopy(events))
    except ProblemError as error:
        return (error.code,)
    return encode_changes(decision.changes), decision.commands, decision.more, decision.nothing


class Rebuilding(Drive):
    """A drive whose state is never dropped; loaded copies of it follow every fact from then on."""

    def __init__(self, document, seed):
        super().__init__(document, seed)
        self.reloads = self.reloads or 0.1
        self.chance = random.Random(f"shadows {seed}")
        self.shadows = []
        self.compared = 0
        self.digest = hashlib.blake2b()

    def load(self):
        """The take-over of the base drive: a fact like any other here."""

    def decide(self, *events):
        self.follow(events)
        super().decide(*events)
        if self.rows is not None and self.chance.random() < 0.2 and len(self.shadows) < 4:
            self.add_shadow()

    def follow(self, events):
        """All shadows hear the same facts, and the same calls to go on, as the state will."""
        expected = self.answers(copy.deepcopy(self.state), events)
        self.digest.update(repr(expected).encode())
        for since, shadow in self.shadows:
            found = self.answers(shadow, events)
            assert found == expected, f"loaded at {since}; {events}\n{found}\n{expected}"
            self.compared += 1

    def answers(self, state, events):
        found = [told(state, events)]
        while len(found[-1]) > 1 and found[-1][2]:
            found.append(told(state, (TimePassed(at=self.at),)))
        return found

    def add_shadow(self):
        rows = copy.deepcopy(self.rows)
        self.shadows.append((self.at, State.load(self.state.plan, rows)))


@pytest.mark.parametrize("part", range(5))
def test_loaded_state_decides_every_later_fact_as_the_live_one_does(part):
    compared = 0
    for seed in range(part, DOCUMENTS, 5):
        drive = Rebuilding(random_document(seed)[0], seed)
        try:
            drive.run()
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}", pytrace=False)
        compared += drive.compared
    assert compared > 1000


def digest_of_runs(count):
    whole = hashlib.blake2b(digest_size=16)
    for seed in range(count):
        drive = Rebuilding(random_document(seed)[0], seed)
        drive.run()
        whole.update(drive.digest.digest())
    return whole.hexdigest()


def test_same_facts_give_the_same_decisions_in_every_process():
    script = "from unit.plan.test_rebuilt_state import digest_of_runs; print(digest_of_runs(15))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {digest_of_runs(15) + "\n"}


def test_rows_that_were_loaded_are_not_the_store_s_own():
    """A state changes its rows in place, so the drive hands each one a copy; it must need no more."""
    drive = Rebuilding(random_document(7)[0], 7)
    drive.run()
    rows = copy.deepcopy(drive.rows)
    State.load(drive.state.plan, rows)
    assert rows == RunRows(drive.rows.run, drive.rows.tasks, drive.rows.hooks)
