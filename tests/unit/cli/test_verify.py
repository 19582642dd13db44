"""The checks of an assertion file, on views made by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from cli_runs import BEGAN, cron, execution, task, values

from aether.cli.verify import (
    Assertions,
    check,
    check_cron,
    check_refusal,
    load_assertions,
    same_json,
)
from aether.errors import Refused
from aether.ports import CronExecution
from aether.record import Phase

PLATFORM = {"os": "linux", "arch": "amd64"}


def assertions(**members: Any) -> Assertions:
    return load_assertions(json.dumps(members).encode())


def found(run: Any, **members: Any) -> list[str]:
    return check(run, assertions(**members), PLATFORM)


def on_task(one: Any, **members: Any) -> list[str]:
    return found(execution(one), expectTasks=[{"taskName": one.task_name, **members}])


def test_a_run_that_is_as_the_file_says_has_no_mismatch() -> None:
    one = task("a", inputs=values(n=1), outputs=values(x=[1, {"b": 2}]), retry_count=2, depth=1)
    one.scope = "main/"
    run = execution(one, outputs=values(sum=3))
    assert not found(
        run,
        expectPhase="Succeeded",
        expectTaskCount=1,
        expectOutputs={"sum": 3.0},
        expectTasks=[
            {
                "taskName": "a",
                "expectPhase": "Succeeded",
                "expectInputs": {"n": 1},
                "expectOutputs": {"x": [1.0, {"b": 2}]},
                "expectRetryCount": 2,
                "expectTemplateType": "task",
                "expectScope": "main/",
                "expectDepth": 1,
            }
        ],
    )


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("expectPhase", "Failed", "the run is Succeeded, expected Failed"),
        ("expectTaskCount", 2, "there are 1 task runs, expected 2: a"),
        ("expectTaskCount", 0, "there are 1 task runs, expected 0: a"),
        ("expectOutputs", {"sum": 4}, "output of the run: `sum` is 3, expected 4"),
        ("expectOutputs", {"other": 4}, "`other` is missing (there: sum)"),
        ("expectTasks", [{"taskName": "b"}], "there is no task run of that name"),
    ],
)
def test_each_check_of_a_run_can_fail(member: str, value: Any, said: str) -> None:
    (mismatch,) = found(execution(task("a"), outputs=values(sum=3)), **{member: value})
    assert said in mismatch


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("expectPhase", "Failed"),
        ("expectInputs", {"n": 2}),
        ("expectOutputs", {"n": 2}),
        ("expectRetryCount", 1),
        ("expectTemplateType", "dag"),
        ("expectScope", "main/"),
        ("expectDepth", 3),
    ],
)
def test_each_check_of_a_task_can_fail(member: str, value: Any) -> None:
    one = task("a", inputs=values(n=1), outputs=values(n=1))
    assert len(on_task(one, **{member: value})) == 1


def test_every_mismatch_is_reported_and_not_only_the_first() -> None:
    run = execution(task("a", Phase.FAILED, message="boom"))
    mismatches = found(
        run,
        expectPhase="Failed",
        expectTaskCount=7,
        expectOutputs={"x": 1, "y": 2},
        expectTasks=[{"taskName": "a", "expectPhase": "Succeeded", "expectDepth": 9}],
    )
    assert len(mismatches) == 6
    assert any("boom" in mismatch for mismatch in mismatches)


def test_the_last_created_task_run_of_a_name_is_the_one_that_counts() -> None:
    run = execution(task("a", Phase.FAILED), task("b"), task("a", Phase.SUCCEEDED))
    assert not found(run, expectTasks=[{"taskName": "a", "expectPhase": "Succeeded"}])


def test_an_empty_text_means_do_not_check() -> None:
    assert not found(execution(), expectPhase="", expectSubmitError="")
    assert not on_task(task("a"), expectPhase="", expectScope="", expectTemplateType="")


def test_a_value_that_is_not_there_matches_nothing_not_even_null() -> None:
    (mismatch,) = on_task(task("a", outputs=values(x=None)), expectOutputs={"x": None})
    assert "has no value" in mismatch


def test_platform_names_stand_for_themselves_at_any_depth_but_not_inside_text() -> None:
    one = task("a", outputs=values(os="linux", all=["amd64", {"os": "linux"}]))
    expected = {"os": "{{runtime.os}}", "all": ["{{runtime.arch}}", {"os": "{{runtime.os}}"}]}
    assert not on_task(one, expectOutputs=expected)
    assert on_task(one, expectOutputs={"os": "on {{runtime.os}}"})


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        ("1", 1, False),
        ({"a": 1, "b": [1]}, {"b": [1.0], "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        (None, None, True),
        (None, 0, False),
        ([], {}, False),
    ],
)
def test_values_are_compared_as_json(left: Any, right: Any, same: bool) -> None:
    assert same_json(left, right) is same
    assert same_json(right, left) is same


def on_cron(view: CronExecution, **members: Any) -> list[str]:
    return check_cron(view, assertions(**members), PLATFORM)


def test_the_last_created_run_of_a_cron_is_checked_whatever_the_order_of_the_list() -> None:
    old = execution(status=Phase.CANCELLED, created_at=BEGAN)
    new = execution(task("a"), created_at=BEGAN + timedelta(seconds=1))
    members = {"expectRunPhase": "Succeeded", "expectCancelledCount": 1, "expectRunCount": 2}
    assert not on_cron(cron(new, old), **members, expectTasks=[{"taskName": "a"}])


def test_each_check_of_a_cron_can_fail() -> None:
    view = cron(execution(status=Phase.RUNNING))
    members = {"expectRunCount": 2, "expectRunPhase": "Failed", "expectCancelledCount": 1}
    assert len(on_cron(view, **members, expectTasks=[{"taskName": "a"}])) == 4


def test_a_cron_without_runs_fails_what_needs_one() -> None:
    assert not on_cron(cron(), expectRunCount=0)
    assert on_cron(cron(), expectRunPhase="Succeeded") == ["there is no run to check"]


def test_a_refusal_is_checked_by_a_part_of_its_whole_text() -> None:
    wanted = assertions(expectSubmitError="must be a task template")
    assert not check_refusal("one\ntwo: it must be a task template", wanted)
    assert check_refusal("something else", wanted)
    assert check_refusal(None, wanted)
    assert check_refusal("refused", assertions())
    assert not check_refusal(None, assertions())


def test_members_nobody_knows_are_ignored() -> None:
    assert not found(execution(), skipIntegration=True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"expectTaskCount": "four"}',
        b'{"autoResumeAfter": "soon"}',
        b'{"cronTriggerCount": -1}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_assertion_file_is_a_problem_with_the_files_name(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        load_assertions(text, "a.json")
    assert caught.value.code == "bad-assertions"
    assert caught.value.problems[0].where.file == "a.json"


def test_durations_of_the_file_are_seconds() -> None:
    given = assertions(autoResumeAfter="200ms", autoCancelAfter="1m")
    assert (given.resume_seconds, given.cancel_seconds) == (0.2, 60.0)
    assert assertions().resume_seconds is None
