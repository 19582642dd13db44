"""Fences, lost workers, suspension, cancel: who may still say what about a task."""

from __future__ import annotations

import pytest

from aether.errors import InvalidState, NotFound
from aether.plan import (
    MAX_LOSSES,
    CancelTask,
    HookCompleted,
    HookNotified,
    HookStarted,
    RunFailed,
    TaskCompleted,
    TaskResumed,
    TaskStarted,
)
from unit.plan.plan_world import Run, dag, loop, node, task

STRANGE = {
    "an old delivery": ({"delivery": 0}, "delivery 0 is over; delivery 1 counts"),
    "a delivery to come": ({"delivery": 2}, "delivery 2 is over; delivery 1 counts"),
    "another epoch": ({"epoch": 7}, "is over"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_fact_behind_its_fence_changes_nothing_and_says_why(case):
    fence, why = STRANGE[case]
    run = Run(task())
    before = repr(run.rows)
    assert why in run.complete("t", fence=fence, n=1).decision.nothing
    assert why in run.start("t", **fence).decision.nothing
    assert repr(run.rows) == before
    assert run.commands == []


def test_second_result_and_second_start_change_nothing():
    run = Run(dag(node("a"), node("b"))).start("a")
    assert run.start("a").decision.nothing == "delivery 1 has started already"
    run.complete("a", n=1)
    assert run.complete("a", code=2, n=2).decision.nothing == "task run 1 is over"
    assert run.outputs("a") == {"n": 1}


def test_results_for_containers_and_strangers_change_nothing():
    run = Run(dag(node("a")))
    for ordinal, why in ((0, "over"), (99, "unknown"), (-1, "unknown")):
        run.tell(TaskCompleted(ordinal, 1, 1, run.at))
        assert run.decision.changes == []
        assert why in run.decision.nothing
    for event in (HookStarted(3, 1, run.at), HookCompleted(3, 1, run.at), HookNotified(3, run.at)):
        assert run.tell(event).decision.nothing.startswith("hook 3 ")


def test_retry_makes_the_old_attempt_s_results_worthless():
    run = Run(task(retry={"limit": 1})).complete("t", code=3)
    row = run.row("t")
    assert (row.attempt, row.delivery, row.retry_count) == (2, 2, 1)
    assert "delivery 1 is over" in run.complete("t", fence={"delivery": 1}).decision.nothing
    assert run.phase_of("t") == "Ready"


def test_result_that_comes_between_two_attempts_changes_nothing():
    run = Run(task(retry={"limit": 1, "backoff": {"initial": "9s"}})).complete("t", code=3)
    assert "is over" in run.complete("t").decision.nothing
    assert run.phase_of("t") == "Created"


def test_lost_worker_costs_a_delivery_and_no_attempt():
    run = Run(task(timeout="10s")).start("t")
    deadline = run.row("t").deadline_at
    run.after(1).lose("t")
    row = run.row("t")
    assert (str(row.phase), row.attempt, row.delivery, row.losses) == ("Ready", 1, 2, 1)
    assert (row.deadline_at, run.dispatched()) == (deadline, ["t"])
    assert run.complete("t").phase == "Succeeded"


def test_task_that_outlives_no_worker_is_an_error_in_the_end():
    run = Run(task())
    for lost in range(MAX_LOSSES):
        assert run.row("t").losses == lost
        run.start("t").lose("t")
    assert run.phase_of("t") == "Error"
    assert f"{MAX_LOSSES} workers were lost" in run.row("t").message
    assert run.dispatched() == []


def test_a_lost_worker_ends_the_attempt_where_the_task_says_so():
    run = Run(task(onWorkerLost="fail")).start("t").lose("t")
    row = run.row("t")
    assert (str(row.phase), row.attempt, row.losses, row.code) == ("Error", 1, 1, 3)
    assert row.message.startswith("worker-lost: ")
    assert run.dispatched() == []
    assert Run(task(onWorkerLost="redeliver")).start("t").lose("t").phase_of("t") == "Ready"


def test_retry_decides_about_an_attempt_that_ended_with_its_worker():
    run = Run(task(onWorkerLost="fail", retry={"limit": 2})).start("t").lose("t")
    row = run.row("t")
    assert (str(row.phase), row.attempt, row.retry_count, row.delivery) == ("Ready", 2, 1, 2)
    never = {"limit": 2, "nonRetryable": ["worker-lost"]}
    run = Run(task(onWorkerLost="fail", retry=never)).start("t").lose("t")
    assert run.phase_of("t") == "Error"


def test_the_attempt_ends_too_when_its_engine_was_lost_with_the_worker():
    run = Run(task(onWorkerLost="fail")).start("t").take_over()
    assert (run.phase_of("t"), run.rows.run.epoch) == ("Error", 2)
    waiting = Run(task(onWorkerLost="fail")).take_over()
    assert waiting.phase_of("t") == "Ready", "no worker is known to have begun"


def test_a_node_may_say_what_a_lost_worker_means_and_starts_are_written_at_once():
    plan = Run(dag(node("a", onWorkerLost="fail"), node("b"))).state.plan
    assert plan.wants_starts
    run = Run(dag(node("a", onWorkerLost="fail"), node("b")))
    run.start("a").start("b").lose("a").lose("b")
    assert (run.phase_of("a"), run.phase_of("b")) == ("Error", "Ready")


def test_delivery_that_was_lost_before_it_started_is_no_lost_worker():
    run = Run(task())
    for _ in range(MAX_LOSSES + 5):
        run.lose("t")
    assert (run.phase_of("t"), run.row("t").losses) == ("Ready", 0)


def test_take_over_delivers_again_what_was_on_its_way_and_nothing_else():
    run = Run(
        dag(node("ready"), node("running"), node("asleep"), node("over"), node("next", "over"))
    )
    run.start("running").complete("asleep", code=1).complete("over").complete("next")
    run.reload().take_over()
    assert run.dispatched() == ["ready", "running"]
    assert run.rows.run.epoch == 2
    assert (run.phase_of("asleep"), run.phase_of("over")) == ("Suspended", "Succeeded")
    assert "is over" in run.complete("ready", fence={"epoch": 1}).decision.nothing
    assert run.complete("ready").phase_of("ready") == "Succeeded"


def test_suspended_task_keeps_its_partial_outputs_until_the_final_ones():
    run = Run(task()).complete("t", code=1, message="step 1", a=1, b=1)
    assert (run.phase_of("t"), run.phase, run.row("t").message) == (
        "Suspended",
        "Running",
        "step 1",
    )
    run.resume("t").complete("t", code=1, b=2)
    assert run.outputs("t") == {"a": 1, "b": 2}
    run.resume("t").complete("t", c=3)
    assert (run.phase, run.outputs()) == ("Succeeded", {"c": 3})


def test_resume_is_the_same_attempt_with_the_payload_among_the_inputs():
    run = Run(task(inputs={"parameters": [{"name": "x", "value": 1}, {"name": "y", "value": 2}]}))
    run.complete("t", code=1).resume("t", x=10, answer=True)
    assert run.inputs("t") == {"x": 10, "y": 2, "answer": True}
    row = run.row("t")
    assert (str(row.phase), row.attempt, row.delivery) == ("Ready", 1, 2)
    assert "is over" in run.complete("t", fence={"delivery": 1}).decision.nothing


def test_second_resume_is_refused_with_nothing_changed():
    run = Run(task()).complete("t", code=1).resume("t")
    before = repr(run.rows)
    with pytest.raises(InvalidState) as caught:
        run.resume("t")
    assert (caught.value.code, repr(run.rows)) == ("not-suspended", before)
    assert run.complete("t").phase == "Succeeded"


def test_resume_of_an_unknown_task_run_says_that_there_is_none():
    run = Run(task()).complete("t", code=1)
    with pytest.raises(NotFound) as caught:
        run.tell(TaskResumed(7, b"[]", run.at))
    assert caught.value.code == "task-not-found"


def test_cancel_ends_all_that_is_open_and_tells_who_holds_it():
    inner = dag(node("x"), name="inner")
    run = Run(
        dag(
            node("over"),
            node("b", template="inner"),
            node("c", template="l"),
            node("z", "b"),
            name="top",
        ),
        inner,
        loop(items=[1, 2], concurrency=1),
        task(),
    )
    run.complete("over").start("x").cancel()
    phases = run.phases()
    assert phases.pop("top/over") == "Succeeded"
    assert set(phases.values()) == {"Cancelled"}
    assert (run.phase, run.rows.run.message) == ("Cancelled", "cancelled by ann")
    assert sorted(c.ordinal for c in run.of(CancelTask)) == [run.ordinal("x"), run.ordinal("t")]
    assert run.omitted("top") == {"z": "its dependency 'b' ended Cancelled"}
    assert run.rows.run.done == run.rows.run.total
    assert run.state.finished


@pytest.mark.parametrize("request_", ["cancel", "pause", "unpause"])
def test_run_that_is_over_refuses_requests(request_):
    run = Run(task()).complete("t")
    before = repr(run.rows)
    with pytest.raises(InvalidState) as caught:
        getattr(run, request_)()
    assert (caught.value.code, repr(run.rows)) == ("run-over", before)


def test_result_after_the_cancel_changes_nothing():
    run = Run(task(retry={"limit": 3})).start("t").cancel()
    assert run.complete("t", code=3).decision.changes == []
    assert run.phase == "Cancelled"


def test_fault_of_the_engine_ends_a_run_in_error_once():
    run = Run(dag(node("a"), node("b", "a"))).tell(RunFailed(Run(task()).at, "the engine broke"))
    assert (run.phase, run.rows.run.message) == ("Error", "the engine broke")
    assert run.phases() == {"d": "Error", "d/a": "Error"}
    assert run.tell(RunFailed(run.at, "again")).decision.changes == []


def test_several_facts_in_one_decision_count_as_if_told_one_by_one():
    one = Run(dag(node("a"), node("b"), node("c", "a", "b")))
    facts = [
        TaskStarted(1, 1, 1, "w", one.at),
        TaskCompleted(1, 1, 1, one.at, worker="w"),
        TaskCompleted(1, 1, 1, one.at, 2, worker="w"),
        TaskCompleted(2, 1, 1, one.at, worker="w"),
    ]
    one.tell(*facts)
    many = Run(dag(node("a"), node("b"), node("c", "a", "b")))
    for fact in facts:
        many.tell(fact)
    assert (
        one.phases()
        == many.phases()
        == {
            "d": "Running",
            "d/a": "Succeeded",
            "d/b": "Succeeded",
            "d/c": "Ready",
        }
    )
    assert one.dispatched() == ["c"]
