"""The auditor knows what a run of a function may wait for."""

from __future__ import annotations

from aether.engine import audit
from aether.plan import RunPaused
from aether.record import ActivityScheduled, Parked, Phase, StepDone, TimerStarted, WaitOpened
from unit.plan.function_world import SECOND, START, FunctionWorld, a_path, a_step

HOUR = 3600 * SECOND


def waiting() -> FunctionWorld:
    world = FunctionWorld()
    world.append(
        a_step("a"),
        TimerStarted(path=a_path("nap"), due_at=START + HOUR),
        WaitOpened(path=a_path("go")),
        ActivityScheduled(path=a_path("charge"), executor="charge"),
        Parked(),
    )
    return world


def faults(world: FunctionWorld, now: int = START) -> list[str]:
    assert world.rows is not None
    return audit(world.rows, now)


def test_a_parked_run_has_its_reasons_however_long_it_waits() -> None:
    assert faults(waiting(), START + HOUR // 2) == []
    world = FunctionWorld()
    world.append(Parked())
    assert faults(world, START + 1000 * HOUR) == []


def test_a_timer_that_nobody_wakes_is_a_fault() -> None:
    world = waiting()
    assert any("nobody looked" in what for what in faults(world, START + 2 * HOUR))
    world.run.due_at = None
    assert any("is due at" in what for what in faults(world))


def test_an_activity_that_nothing_holds_back_is_a_fault() -> None:
    world = waiting()
    world.row("charge").phase = Phase.CREATED
    assert any("held back" in what for what in faults(world))
    world = FunctionWorld()
    world.decide(RunPaused(START))
    world.append(ActivityScheduled(path=a_path("charge"), executor="charge"))
    assert world.row("charge").phase is Phase.CREATED
    assert faults(world) == []


def test_a_step_to_be_tried_again_is_its_functions_to_wake() -> None:
    world = FunctionWorld()
    failed = a_step("a", error_type="E", retry_at=START + SECOND)
    assert isinstance(failed, StepDone)
    world.append(failed)
    assert faults(world, START + HOUR) == []


def test_a_run_whose_function_is_over_is_over() -> None:
    world = FunctionWorld()
    world.root.phase = Phase.SUCCEEDED
    world.run.done += 1
    assert any("its function is over" in what for what in faults(world))
