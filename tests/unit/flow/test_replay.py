"""Whatever a function does, a process that dies anywhere is continued by another to the same end."""

import pytest

from unit.flow.flow_world import crash_everywhere
from unit.flow.workflows import CASES, done


@pytest.mark.parametrize(("function", "expected"), CASES)
async def test_run_cut_anywhere_ends_the_same_and_repeats_no_recorded_step(function, expected):
    auto = {"go": "green", "charge": 7, "mailing@1": {"sent": 1}}
    await crash_everywhere(function, auto=auto, done=done, expected=expected)
