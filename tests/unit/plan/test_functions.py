"""Runs of functions: what is recorded, what is answered, and what stays in memory."""

from __future__ import annotations

import msgspec
import pytest

from aether.errors import InvalidState
from aether.plan import (
    CancelChild,
    CancelTask,
    ChildBegan,
    ChildEnded,
    CodeServed,
    DispatchTask,
    JournalAppended,
    RunCancelled,
    RunFailed,
    RunPaused,
    RunTakenOver,
    RunUnpaused,
    SignalReceived,
    StartChild,
    TaskCompleted,
    TaskHeartbeat,
    TaskResumed,
    TaskStarted,
    TimePassed,
    UpdateRequested,
    WorkerLost,
)
from aether.record import (
    ActivityOptions,
    ActivityScheduled,
    ChildOptions,
    ChildStarted,
    Completed,
    Continued,
    Dropped,
    Failed,
    Noted,
    Parked,
    Phase,
    StatusSet,
    Stopped,
    Stuck,
    TimerStarted,
    UpdateAnswered,
    WaitOpened,
)
from unit.plan.function_world import SECOND, START, FunctionWorld, a_path, a_step

encode = msgspec.json.encode


def an_activity(name: str = "charge", **options: object) -> ActivityScheduled:
    encoded = encode(ActivityOptions(**options)) if options else b""  # type: ignore[arg-type]
    return ActivityScheduled(path=a_path(name), executor="charge", options=encoded, inputs=b"[7]")


def a_child(name: str = "receipt", on_parent_end: str = "cancel") -> ChildStarted:
    options = encode(ChildOptions(on_parent_end=on_parent_end))
    return ChildStarted(path=a_path(name), run_id="c-1", function="send", options=options)


def completed(world: FunctionWorld, name: str, **members: object) -> None:
    row = world.row(name)
    world.decide(
        TaskCompleted(row.ordinal, world.run.epoch, row.delivery, world.now, **members)  # type: ignore[arg-type]
    )


def begun(world: FunctionWorld, name: str) -> None:
    row = world.row(name)
    world.decide(TaskStarted(row.ordinal, world.run.epoch, row.delivery, "w-2", world.now))


# Steps


def test_a_run_hands_its_function_to_the_broker_first() -> None:
    world = FunctionWorld(begin=False)
    assert world.commands == [DispatchTask(0)]
    assert (world.run.phase, world.root.phase) == (Phase.READY, Phase.READY)
    assert (world.root.executor, world.root.kind) == ("workflow:order", "workflow")


def test_a_step_is_one_row_that_is_over_and_leaves_nothing_in_memory() -> None:
    world = FunctionWorld()
    for n in range(3):
        assert len(world.append(a_step("a", n)).changes) == 2
    assert list(world.state.nodes) == [0]
    row = world.row("a")
    assert (row.phase, row.scope, row.ordinal, row.outputs) == (Phase.SUCCEEDED, "#2", 3, b"[1]")


def test_the_last_step_and_the_end_share_a_decision() -> None:
    world = FunctionWorld()
    world.append(a_step("a"), Completed(outputs=b"[2]"))
    assert (world.run.phase, world.run.outputs, world.root.phase) == (
        Phase.SUCCEEDED,
        b"[2]",
        Phase.SUCCEEDED,
    )
    assert world.state.finished


def test_what_an_old_delivery_appends_is_not_recorded() -> None:
    world = FunctionWorld()
    world.decide(WorkerLost(0, 1, 1, world.now))
    late = JournalAppended(1, 1, 0, [a_step("a")], world.now)
    decision = world.decide(late)
    assert (decision.superseded, decision.changes) == ([late], [])
    fresh = JournalAppended(1, 2, 0, [a_step("a")], world.now)
    decision = world.decide(late, fresh)
    assert decision.superseded == [late]
    assert world.row("a").phase is Phase.SUCCEEDED


def test_a_step_that_is_to_be_tried_again_keeps_one_row() -> None:
    world = FunctionWorld()
    due = START + 5 * SECOND
    world.append(a_step("a", message="E: no", error_type="E", retry_at=due))
    row = world.row("a")
    assert (row.phase, row.retry_at, world.run.due_at) == (Phase.CREATED, due, None)
    world.now = due
    assert not world.decide(TimePassed(due)).changes  # the function itself waits
    world.append(a_step("a", attempt=2))
    assert (row.phase, row.attempt, row.retry_at, world.run.total) == (Phase.SUCCEEDED, 2, None, 2)


def test_steps_carry_how_many_answers_the_function_had_seen() -> None:
    world = FunctionWorld()
    world.append(TimerStarted(path=a_path("nap"), due_at=START))
    assert world.row("nap").order == 1
    world.append(a_step("a"), Noted(path=a_path("patch"), outputs=b"[3]"), after=1)
    assert (world.row("a").order, world.row("patch").order) == (1, 0)


# Timers and waits


def test_a_timer_wakes_a_parked_function() -> None:
    world = FunctionWorld()
    world.append(TimerStarted(path=a_path("nap"), due_at=START + SECOND), Parked())
    assert (world.root.phase, world.run.due_at) == (Phase.SUSPENDED, START + SECOND)
    world.decide(TimePassed(START + SECOND))
    assert world.commands == [DispatchTask(0)]
    assert (world.root.delivery, world.row("nap").order) == (2, 1)
    assert world.run.due_at is None


def test_parking_has_no_effect_while_there_are_answers() -> None:
    world = FunctionWorld()
    world.append(TimerStarted(path=a_path("nap"), due_at=START), Parked(), after=0)
    assert world.root.phase is Phase.RUNNING
    world.append(Parked(), after=1)
    assert world.root.phase is Phase.SUSPENDED


def test_signals_are_kept_until_somebody_waits_and_matched_in_order() -> None:
    world = FunctionWorld()
    for n in b"12":
        world.decide(SignalReceived("go", bytes([n]), world.now))
    world.append(WaitOpened(path=a_path("go")), WaitOpened(path=a_path("go", 1)))
    world.append(WaitOpened(path=a_path("go", 2)), WaitOpened(path=a_path("go", 3)))
    assert world.state.answered == 2
    world.decide(SignalReceived("go", b"3", world.now))
    waits = [row for row in world.rows.tasks.values() if row.kind == "wait"]  # type: ignore[union-attr]
    assert [row.outputs for row in waits] == [b"1", b"2", b"3", None]
    assert [row.order for row in waits] == [1, 2, 3, 0]


def test_a_signal_with_a_key_counts_once() -> None:
    world = FunctionWorld()
    world.decide(SignalReceived("go", b"1", world.now, "k"))
    assert not world.decide(SignalReceived("go", b"1", world.now, "k")).changes
    world.append(Completed())
    assert world.row("go").phase is Phase.SKIPPED
    assert not world.decide(SignalReceived("go", b"1", world.now, "k")).changes
    with pytest.raises(InvalidState):
        world.decide(SignalReceived("go", b"1", world.now, "another"))


def test_a_wait_ends_at_its_deadline() -> None:
    world = FunctionWorld()
    world.append(WaitOpened(path=a_path("go"), deadline_at=START + SECOND), Parked())
    world.decide(TimePassed(START + SECOND))
    assert (world.row("go").phase, world.commands) == (Phase.TIMEOUT, [DispatchTask(0)])
    world.decide(SignalReceived("go", b"1", world.now))  # too late for that one
    assert world.row("go").kind == "signal"


def test_a_wait_may_be_resumed_by_hand() -> None:
    world = FunctionWorld()
    world.append(WaitOpened(path=a_path("go")), Parked())
    world.decide(TaskResumed(1, b"[5]", world.now))
    assert (world.row("go").outputs, world.commands) == (b"[5]", [DispatchTask(0)])


def test_what_the_function_dropped_is_over_and_no_answer() -> None:
    world = FunctionWorld()
    world.append(TimerStarted(path=a_path("nap"), due_at=START + SECOND), an_activity(), a_child())
    world.append(*[Dropped(path=a_path(name)) for name in ("nap", "charge", "receipt")])
    assert world.commands[0] == CancelTask(2, 1, 1, "the function waits for it no more")
    assert isinstance(world.commands[1], CancelChild)
    assert world.state.answered == 0
    assert list(world.state.nodes) == [0]
    assert world.run.due_at is None


# Activities


def test_an_activity_is_a_task_for_a_worker() -> None:
    world = FunctionWorld()
    world.append(an_activity(), Parked())
    assert world.commands == [DispatchTask(1)]
    begun(world, "charge")
    assert world.row("charge").deadline_at == START + 30 * SECOND
    completed(world, "charge", outputs=b"[8]")
    row = world.row("charge")
    assert (row.phase, row.outputs, row.order) == (Phase.SUCCEEDED, b"[8]", 1)
    assert world.commands == [DispatchTask(0)]
    assert world.run.due_at is None


def test_an_activity_is_tried_again_after_a_growing_while() -> None:
    world = FunctionWorld()
    world.append(an_activity(jitter=0))
    waits = []
    for _ in range(3):
        begun(world, "charge")
        completed(world, "charge", code=2, message="E: no", error_type="E", outputs=b"[9]")
        row = world.row("charge")
        if row.retry_at is not None:
            waits.append((row.retry_at - world.now) // SECOND)
            world.now = row.retry_at
            world.decide(TimePassed(world.now))
            assert world.commands == [DispatchTask(1)]
    assert waits == [1, 2]
    assert (row.phase, row.attempt, row.order, row.outputs) == (Phase.FAILED, 3, 1, b"[9]")


def test_an_error_that_is_not_to_be_retried_is_the_answer() -> None:
    world = FunctionWorld()
    world.append(an_activity(non_retryable=("Fatal",)))
    completed(world, "charge", code=2, message="Fatal", error_type="Fatal")
    assert world.row("charge").phase is Phase.FAILED


def test_an_attempt_without_heartbeat_ends_and_its_details_go_on() -> None:
    world = FunctionWorld()
    world.append(an_activity(heartbeat=SECOND, jitter=0))
    begun(world, "charge")
    world.now += SECOND // 2
    world.decide(TaskHeartbeat(1, 1, 1, world.now, b"[50]"))
    world.decide(TimePassed(START + SECOND))
    assert world.row("charge").phase is Phase.RUNNING
    world.now += SECOND
    world.decide(TimePassed(world.now))
    row = world.row("charge")
    assert (row.phase, row.attempt, row.details) == (Phase.CREATED, 2, b"[50]")
    assert world.commands == [CancelTask(1, 1, 1, "heartbeat timeout")]


def test_the_time_of_an_attempt_counts_from_its_start() -> None:
    world = FunctionWorld()
    world.append(an_activity(start_to_close=SECOND, attempts=1))
    assert world.run.due_at is None
    world.now += 100 * SECOND
    begun(world, "charge")
    world.decide(TimePassed(world.now + SECOND))
    assert world.row("charge").phase is Phase.TIMEOUT


def test_an_activity_that_no_worker_takes_in_time_is_over() -> None:
    world = FunctionWorld()
    world.append(an_activity(schedule_to_start=SECOND))
    world.decide(TimePassed(START + SECOND))
    assert (world.row("charge").phase, world.row("charge").attempt) == (Phase.TIMEOUT, 1)


def test_an_activity_may_be_completed_from_outside() -> None:
    world = FunctionWorld()
    world.append(an_activity())
    completed(world, "charge", code=1)
    assert world.row("charge").phase is Phase.SUSPENDED
    completed(world, "charge", outputs=b"[4]")
    assert world.row("charge").outputs == b"[4]"


def test_an_activity_that_says_twice_that_its_result_comes_later_says_it_once() -> None:
    world = FunctionWorld()
    world.append(an_activity())
    completed(world, "charge", code=1)
    completed(world, "charge", code=1)
    assert world.row("charge").phase is Phase.SUSPENDED


def test_a_lost_worker_costs_no_attempt() -> None:
    world = FunctionWorld()
    world.append(an_activity())
    begun(world, "charge")
    world.decide(WorkerLost(1, 1, 1, world.now))
    row = world.row("charge")
    assert (row.attempt, row.delivery, row.losses, row.phase) == (1, 2, 1, Phase.READY)


# Children


def test_a_child_is_started_and_its_end_is_an_answer() -> None:
    world = FunctionWorld()
    world.append(a_child(), Parked())
    assert world.commands == [StartChild(1)]
    assert world.row("receipt").worker == "c-1"
    world.decide(ChildEnded(1, "c-1", Phase.FAILED, world.now, b"[1]", "E: no"))
    row = world.row("receipt")
    assert (row.phase, row.message, row.order) == (Phase.FAILED, "E: no", 1)
    assert world.commands == [DispatchTask(0)]
    assert not world.decide(ChildEnded(1, "c-1", Phase.FAILED, world.now)).changes


def test_children_end_with_their_parent_unless_they_are_to_be_left() -> None:
    world = FunctionWorld()
    world.append(a_child("a"), a_child("b", on_parent_end="leave"))
    world.append(Failed(message="E: x", error_type="E", outputs=b"[0]"))
    assert world.commands == [CancelChild("c-1", "E: x")]
    assert world.run.phase is Phase.FAILED
    assert world.row("b").phase is Phase.CANCELLED


def test_a_run_that_continues_ends_once_the_next_exists() -> None:
    world = FunctionWorld()
    world.append(a_step("a"), Continued(run_id="r-2", inputs=b"[6]"))
    assert (world.run.phase, world.root.phase) == (Phase.RUNNING, Phase.SUCCEEDED)
    assert world.commands == [StartChild(2)]
    world.decide(RunTakenOver(world.now))
    assert world.commands == [StartChild(2)]
    assert world.append(a_step("b")).superseded
    world.decide(ChildBegan(2, world.now))
    assert (world.run.phase, world.run.message) == (Phase.SUCCEEDED, "continued as r-2")


def test_a_cancel_while_the_next_run_is_to_begin_ends_both() -> None:
    world = FunctionWorld()
    world.append(a_step("a"), Continued(run_id="r-2", inputs=b"[6]"))
    world.decide(RunCancelled(world.now, "ann"))
    assert world.run.phase is Phase.CANCELLED
    assert world.row("continue").phase is Phase.CANCELLED
    assert world.commands == [CancelChild("r-2", "cancelled by ann")]


def test_a_signal_that_comes_while_the_next_run_is_to_begin_ends_with_the_run() -> None:
    world = FunctionWorld()
    world.append(a_step("a"), Continued(run_id="r-2"))
    world.decide(SignalReceived("go", b"[1]", world.now))
    world.decide(ChildBegan(2, world.now))
    assert world.run.phase is Phase.SUCCEEDED
    assert world.row("go").phase is Phase.SKIPPED


# From outside


def test_an_update_is_an_answer_and_stays_open_until_it_is_answered() -> None:
    world = FunctionWorld()
    world.decide(UpdateRequested("price", b"[1]", world.now, "k"))
    row = world.row("price")
    assert (row.order, row.phase) == (1, Phase.RUNNING)
    world.append(UpdateAnswered(ordinal=1, outputs=b"[2]"))
    assert (row.phase, row.outputs) == (Phase.SUCCEEDED, b"[2]")


def test_what_a_function_says_of_itself_is_kept_in_its_run() -> None:
    world = FunctionWorld()
    world.append(StatusSet(status=b"{}", attributes={"a": "1"}))
    world.append(StatusSet(attributes={"b": "2"}))
    assert (world.run.status, world.run.attributes) == (b"{}", {"a": "1", "b": "2"})


def test_a_cancellation_is_an_answer_and_the_function_may_clean_up() -> None:
    world = FunctionWorld()
    world.append(WaitOpened(path=a_path("go")), Parked())
    world.decide(RunCancelled(world.now, "ann"))
    assert (world.commands, world.row("cancel").order) == ([DispatchTask(0)], 1)
    assert not world.decide(RunCancelled(world.now, "ann")).changes
    world.start()
    world.append(a_step("undo"), Stopped())
    assert (world.run.phase, world.run.message) == (Phase.CANCELLED, "cancelled by ann")


def test_a_run_that_nobody_began_is_cancelled_at_once_and_so_is_any_by_force() -> None:
    world = FunctionWorld(begin=False)
    world.decide(RunCancelled(world.now))
    assert world.run.phase is Phase.CANCELLED
    world = FunctionWorld()
    world.append(an_activity())
    world.decide(RunCancelled(world.now, force=True))
    assert world.run.phase is Phase.CANCELLED
    assert [command.ordinal for command in world.commands] == [0, 1]  # type: ignore[union-attr]
    assert world.append(a_step("a")).superseded


def test_in_a_paused_run_time_stands_still_and_nothing_begins() -> None:
    world = FunctionWorld(deadline_at=START + 20 * SECOND)
    world.append(TimerStarted(path=a_path("nap"), due_at=START + SECOND))
    world.decide(RunPaused(world.now))
    assert world.run.due_at is None
    world.append(an_activity(), a_child(), Parked())
    world.decide(SignalReceived("go", b"1", world.now))
    world.decide(TimePassed(START + 5 * SECOND))
    assert not world.commands
    assert world.row("nap").phase is Phase.RUNNING
    world.decide(RunUnpaused(START + 5 * SECOND))
    assert world.commands == [DispatchTask(2), StartChild(3)]
    assert world.run.due_at == START + 6 * SECOND
    assert world.run.deadline_at == START + 25 * SECOND
    assert world.root.phase is Phase.SUSPENDED


def test_an_answer_in_a_paused_run_wakes_the_function_after_the_pause() -> None:
    world = FunctionWorld()
    world.append(WaitOpened(path=a_path("go")), Parked())
    world.decide(RunPaused(world.now))
    world.decide(SignalReceived("go", b"1", world.now))
    assert (world.root.phase, world.commands) == (Phase.CREATED, [])
    world.decide(RunUnpaused(world.now))
    assert world.commands == [DispatchTask(0)]


def test_a_run_ends_at_its_deadline_whatever_its_function_does() -> None:
    world = FunctionWorld(deadline_at=START + SECOND)
    world.append(a_step("a"))
    world.decide(TimePassed(START + SECOND))
    assert (world.run.phase, world.root.phase) == (Phase.TIMEOUT, Phase.TIMEOUT)
    assert isinstance(world.commands[0], CancelTask)


def test_a_run_may_begin_later() -> None:
    world = FunctionWorld(begin=False, due_at=START + SECOND)
    assert (world.commands, world.root.phase) == ([], Phase.CREATED)
    world.decide(TimePassed(START + SECOND))
    assert (world.commands, world.root.delivery) == ([DispatchTask(0)], 1)


def test_a_stuck_run_waits_with_its_reason_until_other_code_is_served() -> None:
    for event in (CodeServed(START), RunTakenOver(START), TaskResumed(0, b"[]", START)):
        world = FunctionWorld()
        world.append(WaitOpened(path=a_path("go")), Stuck(message="step 'a' was 'b'"))
        assert world.run.message == "step 'a' was 'b'"
        world.decide(SignalReceived("go", b"1", world.now))
        assert not world.commands
        world.decide(event)
        assert DispatchTask(0) in world.commands
        assert world.run.message == ""
    world = FunctionWorld()
    world.append(Stuck(message="x"))
    world.decide(RunCancelled(world.now))
    assert world.run.phase is Phase.CANCELLED


def test_a_run_that_is_taken_over_is_delivered_again() -> None:
    world = FunctionWorld()
    world.append(an_activity(), a_child(), TimerStarted(path=a_path("nap"), due_at=START + SECOND))
    world.decide(RunTakenOver(world.now))
    assert world.commands == [DispatchTask(0), DispatchTask(1), StartChild(2)]
    assert (world.run.epoch, world.root.delivery, world.row("charge").delivery) == (2, 2, 2)
    late = JournalAppended(1, 1, 0, [a_step("a")], world.now)
    assert world.decide(late).superseded == [late]


def test_workers_that_are_lost_one_after_the_other_end_the_run_unless_it_gets_on() -> None:
    world = FunctionWorld()
    for _ in range(9):
        world.decide(WorkerLost(0, 1, world.root.delivery, world.now))
        world.start()
    world.append(a_step("a"))
    assert world.root.losses == 0
    for n in range(10):
        assert not world.run.phase.is_terminal, n
        world.decide(WorkerLost(0, 1, world.root.delivery, world.now))
        if not world.run.phase.is_terminal:
            world.start()
    assert world.run.phase is Phase.ERROR


def test_a_fault_of_the_engine_ends_everything() -> None:
    world = FunctionWorld()
    world.append(an_activity(), WaitOpened(path=a_path("go")))
    world.decide(RunFailed(world.now, "broken"))
    assert world.run.phase is Phase.ERROR


def test_ten_thousand_steps_leave_a_state_as_small_as_one() -> None:
    world = FunctionWorld()
    event = JournalAppended(1, 1, 0, [a_step("a", n) for n in range(10_000)], START)
    world.decide(event)
    assert world.run.total == 10_001
    assert list(world.state.nodes) == [0]
    assert len(world.append(a_step("b")).changes) == 2
