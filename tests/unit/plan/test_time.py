"""Deadlines, pauses, retries and clocks that go backwards."""

from __future__ import annotations

import pytest

from aether.errors import InvalidState
from aether.plan import CancelTask, DispatchTask, RunTakenOver, TaskCompleted, TimePassed
from unit.plan.plan_world import SECOND, START, Run, dag, loop, node, task

RETRY = {"limit": 5, "backoff": {"initial": "1s", "factor": 2, "max": "5s"}}


@pytest.mark.parametrize("how", ["queued", "running", "suspended"])
def test_time_is_up_wherever_the_attempt_is(how):
    run = Run(task(timeout="10s"))
    if how != "queued":
        run.start("t")
    if how == "suspended":
        run.complete("t", code=1)
    run.after(9.999999)
    assert run.phase_of("t") != "Timeout"
    run.after(0.000001)
    assert (run.phase_of("t"), run.phase) == ("Timeout", "Error")
    assert len(run.of(CancelTask)) == (how != "suspended")


def test_each_attempt_has_the_whole_time_and_back_off_does_not_count():
    run = Run(task(timeout="10s", retry={"limit": 1, "backoff": {"initial": "100s"}}))
    run.after(10)
    assert run.row("t").deadline_at is None
    run.after(100)
    assert run.row("t").deadline_at == run.at + 10 * SECOND
    run.after(10)
    assert run.phase_of("t") == "Timeout"


def test_back_off_grows_by_its_factor_up_to_its_cap():
    run = Run(task(retry=RETRY))
    waits = []
    for _ in range(5):
        run.complete("t", code=3)
        waits.append((run.row("t").retry_at - run.at) // SECOND)
        run.after(waits[-1])
    assert waits == [1, 2, 4, 5, 5]
    run.complete("t", code=3)
    assert (run.phase, run.row("t").attempt, run.row("t").retry_count) == ("Error", 6, 5)


def test_jitter_shortens_the_wait_and_is_the_same_each_time():
    policy = {"limit": 1, "backoff": {"initial": "10s", "jitter": 0.5}}
    waits = {Run(task(retry=policy)).complete("t", code=3).row("t").retry_at for _ in range(5)}
    assert len(waits) == 1
    assert 5 * SECOND <= waits.pop() - START <= 10 * SECOND


def test_non_retryable_type_of_error_ends_it_at_once():
    run = Run(task(retry={"limit": 3, "nonRetryable": ["BadInput"]}))
    assert run.complete("t", code=3, error_type="Other").phase_of("t") == "Ready"
    assert run.complete("t", code=3, error_type="BadInput").phase_of("t") == "Error"


def test_failed_is_only_tried_again_where_an_expression_says_so():
    assert Run(task(retry={"limit": 3})).complete("t", code=2).phase == "Failed"
    retry = {"limit": 3, "expression": "tasks.t.code == 2 && tasks.t.msg == 'again'"}
    run = Run(task(retry=retry)).complete("t", code=2, message="again")
    assert run.phase_of("t") == "Ready"
    assert run.complete("t", code=2, message="never").phase == "Failed"


def test_retry_expression_sees_the_outputs_of_the_attempt_that_just_ended():
    retry = {"limit": 9, "expression": "tasks.t.outputs.parameters.left > 0"}
    run = Run(task(retry=retry))
    run.complete("t", code=2, left=1)
    assert run.phase_of("t") == "Ready"
    assert run.complete("t", code=2, left=0).phase == "Failed"


def test_broken_retry_expression_grants_nothing_and_warns():
    run = Run(task(retry={"limit": 9, "expression": "tasks.t.outputs.parameters.x > 0"}))
    run.complete("t", code=3)
    assert run.phase == "Error"
    assert "no retry" in run.warnings()[0]


def test_pause_keeps_deadlines_still_and_hands_out_nothing():
    run = Run(dag(node("a", timeout="10s"), node("b", "a")))
    run.after(4).pause().after(100)
    assert run.phase_of("a") == "Ready"
    run.complete("a")
    assert (run.phase_of("b"), run.dispatched()) == ("Created", [])
    run.unpause()
    assert run.dispatched() == ["b"]


def test_deadline_moves_by_the_length_of_the_pause():
    run = Run(task(timeout="10s"), timeout="60s")
    run.after(4).pause().after(100).unpause()
    assert run.row("t").deadline_at == START + 110 * SECOND
    assert run.rows.run.deadline_at == START + 160 * SECOND
    assert run.after(5).phase_of("t") == "Ready"
    assert run.after(1).phase_of("t") == "Timeout"


def test_pause_that_ends_in_the_instant_it_began_costs_no_attempt():
    run = Run(task(timeout="10s", retry={"limit": 3}))
    run.pause().unpause().pause().unpause()
    run.after(10)
    assert (run.row("t").attempt, run.phase_of("t")) == (2, "Ready")
    assert run.dispatched() == ["t"]


def test_second_pause_and_second_unpause_change_nothing_and_say_so():
    run = Run(task()).pause()
    assert run.pause().decision.nothing == "the run is paused already"
    run.unpause()
    assert run.unpause().decision.nothing == "the run is not paused"


def test_retry_that_comes_due_in_a_pause_waits_for_its_end():
    run = Run(task(retry=RETRY)).complete("t", code=3).pause().after(60)
    assert run.phase_of("t") == "Created"
    assert run.unpause().dispatched() == ["t"]


def test_resume_in_a_paused_run_waits_and_its_deadline_ends_it_cleanly():
    run = Run(task(timeout="10s", retry={"limit": 1})).complete("t", code=1).pause()
    run.resume("t")
    assert run.dispatched() == []
    with pytest.raises(InvalidState) as caught:
        run.resume("t")
    assert caught.value.code == "not-suspended"
    assert run.unpause().dispatched() == ["t"]


@pytest.mark.parametrize("limit", [0, 1])
def test_deadline_of_a_task_that_was_resumed_into_a_full_run_is_kept(limit):
    nodes = [node("a", timeout="10s", retry={"limit": limit}), node("b")]
    run = Run(dag(*nodes), parallelism=1)
    run.complete("a", code=1)
    assert run.dispatched() == ["b"]
    run.resume("a", answer=1)
    assert (run.phase_of("a"), run.dispatched()) == ("Created", [])
    run.after(10)
    assert run.phase_of("a") == ("Created" if limit else "Timeout")
    run.complete("b")
    assert run.dispatched() == (["a"] if limit else [])


def test_whole_run_times_out_with_all_that_is_below():
    run = Run(dag(node("a"), node("x", template="l")), loop(items=[1, 2]), task(), timeout="5s")
    run.start("a").after(5)
    assert set(run.phases().values()) == {"Timeout"}
    assert run.phase == "Timeout"
    assert len(run.of(CancelTask)) == 3
    assert run.rows.run.due_at is None


@pytest.mark.parametrize("kind", ["dag", "loop"])
def test_container_times_out_with_its_children_and_its_node_may_try_again(kind):
    body = dag(node("n"), name="x") if kind == "dag" else loop("x", items=[1])
    inner = "n" if kind == "dag" else "t"
    body[kind]["timeout"] = "5s"
    run = Run(dag(node("c", template="x", retry={"limit": 1}), name="top"), body, task())
    first = run.ordinal(inner)
    run.after(5)
    assert str(run.rows.tasks[first].phase) == "Timeout"
    assert [c.ordinal for c in run.of(CancelTask)] == [first]
    assert run.row("c").attempt == 2
    assert run.row("c").deadline_at == run.at + 5 * SECOND
    assert run.ordinal(inner) != first
    run.complete(inner)
    assert run.phase == "Succeeded"


def test_container_that_timed_out_may_be_tolerated():
    inner = dag(node("n"), name="x", timeout="5s")
    run = Run(
        dag(node("c", template="x", continueOn={"timeout": True}), node("z", "c"), name="top"),
        inner,
    )
    run.after(5)
    assert (run.phase_of("c"), run.phase_of("n"), run.dispatched()) == ("Timeout", "Timeout", ["z"])
    assert run.complete("z").phase == "Succeeded"


def test_run_is_looked_at_when_the_next_thing_is_due_and_not_before():
    run = Run(dag(node("a", timeout="30s"), node("b", timeout="10s")), timeout="20s")
    assert run.rows.run.due_at == START + 10 * SECOND
    run.complete("b")
    assert run.rows.run.due_at == START + 20 * SECOND
    assert run.complete("a").rows.run.due_at is None


def test_time_of_a_run_never_goes_back():
    run = Run(dag(node("a"), node("b", "a")))
    run.after(10).start("a")
    run.at -= 3600 * SECOND
    run.complete("a")
    row = run.row("a")
    assert row.finished_at >= row.started_at >= START + 10 * SECOND
    assert run.row("b").ready_at >= START + 10 * SECOND
    run.reload().tell(TimePassed(run.at)).complete("b")
    assert run.row("b").finished_at >= START + 10 * SECOND


def test_pause_is_never_shorter_than_nothing_although_the_clock_went_back_and_the_run_was_reloaded():
    run = Run(task(timeout="10s")).after(5).pause()
    run.at -= 3600 * SECOND
    run.reload().unpause()
    assert run.row("t").deadline_at == START + 10 * SECOND


def test_worker_that_held_an_attempt_is_called_off_although_the_next_one_dies_in_the_same_decision():
    run = Run(dag(node("a", timeout="10s", retry={"limit": 1}), node("b"), failFast=True))
    run.start("a")
    held = run.row("a").delivery
    run.at += 10 * SECOND
    b = run.row("b")
    failed = TaskCompleted(b.ordinal, 1, b.delivery, run.at, 3)
    run.tell(TimePassed(run.at), failed)
    assert (run.phase_of("a"), run.phase) == ("Cancelled", "Error")
    assert [c.delivery for c in run.of(CancelTask)] == [held]
    assert run.of(DispatchTask) == []


def test_delivery_that_is_over_before_it_is_committed_is_never_handed_out():
    run = Run(task(timeout="10s", retry=RETRY)).start("t")
    run.at += 10 * SECOND
    run.tell(RunTakenOver(run.at), TimePassed(run.at))
    assert run.row("t").retry_at is not None
    assert run.of(DispatchTask) == []


def test_reloaded_run_knows_when_it_was_decided_last_although_no_row_of_a_task_says_so():
    run = Run(task())
    run.at += 90 * SECOND
    run.take_over().complete("t", code=1)
    run.at += SECOND
    run.resume("t")  # nothing but a payload and a new delivery
    latest = run.rows.run.decided_at
    run.at = START + SECOND
    run.reload().pause()
    assert run.rows.run.paused_at == latest == run.rows.run.decided_at


def test_refused_request_leaves_no_trace_in_the_time_of_a_run():
    run = Run(task())
    run.at += 90 * SECOND
    with pytest.raises(InvalidState):
        run.resume("t")
    run.at = START
    run.pause()
    assert run.rows.run.paused_at == START
