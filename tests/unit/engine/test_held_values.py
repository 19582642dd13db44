"""What is said to hold no value holds none: nobody looks at it again."""

from __future__ import annotations

from typing import Any

import pytest

from aether.engine.held_values import changes_with_values, values_of
from aether.record import PAYLOADS, HookPatch, RunPatch, TaskPatch
from aether.testing.rows import a_hook, a_run, a_task
from unit.engine.engine_world import World, one_task, two_tasks

BARE = [
    a_run("r"),
    a_task(0),
    a_hook(0),
    RunPatch(seq=2),
    TaskPatch(0, message="hello"),
    HookPatch(number=0),
]
FIELDS = [(each, field) for each in BARE for field in PAYLOADS[type(each)]]


def with_value(change: Any, **members: Any) -> Any:
    copied = change.__copy__()
    for name, value in members.items():
        setattr(copied, name, value)
    return copied


def test_changes_without_a_value_are_left_out() -> None:
    assert changes_with_values(BARE) == []


def test_a_value_that_is_taken_away_is_none() -> None:
    assert changes_with_values([TaskPatch(0, outputs=None), RunPatch(outputs=None)]) == []


@pytest.mark.parametrize(("change", "field"), FIELDS)
def test_each_member_that_is_a_value_counts(change: Any, field: str) -> None:
    valued = with_value(change, **{field: b"[]"})
    assert changes_with_values([change, valued]) == [valued]
    assert set(values_of(valued)) == {b"[]"}


async def test_commits_say_whether_they_hold_values() -> None:
    async with World() as world:
        await world.submit(one_task())
        await world.complete("only", result=1)
        assert world.store.said == [False, True]
        await world.engine.fork(await world.submit(two_tasks()), from_seq=1)
        assert world.store.said == [False, True, False, True], "a fork brings rows of its origin"
