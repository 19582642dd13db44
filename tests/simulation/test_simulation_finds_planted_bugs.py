"""Whether the simulator looks: every planted bug must break a rule within a few seeds."""

from __future__ import annotations

import pytest

from aether.testing.simulation import simulate
from simulation.planted import BUGS, plant

EVENTS = 5_000
SEEDS = 40


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_is_found(name):
    bug = BUGS[name]
    with plant(bug):
        seeds = [bug.seed, *range(SEEDS)]
        assert any(simulate(seed, EVENTS).breaches for seed in seeds)
