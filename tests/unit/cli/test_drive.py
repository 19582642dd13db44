"""Driving a run to its end, with an engine that only pretends."""

from __future__ import annotations

import asyncio
import signal

import pytest
from cli_runs import FakeEngine, cron, execution, hook, task

from aether.cli import drive
from aether.cli.session import Plan, run_document
from aether.cli.verify import Assertions, TaskAssertion
from aether.document import load
from aether.errors import InvalidDocument, InvalidState, Problem
from aether.ports import LogEntry
from aether.record import Phase

RUNNING = execution(task("a", Phase.RUNNING), status=Phase.RUNNING)
SUSPENDED = execution(task("a", Phase.SUSPENDED, number=4), status=Phase.RUNNING)
DONE = execution(task("a"))
DOCUMENT = load('{"kind": "Workflow"}')
CRON = load('{"kind": "CronWorkflow"}')
GONE = InvalidState(Problem("not-suspended", "somebody resumed it already"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BETWEEN_TRIGGERS", "AFTER_LAST_TRIGGER", "LOOK_EVERY", "GRACE"):
        monkeypatch.setattr(drive, name, 0.0)


async def test_a_run_is_shown_until_it_ends() -> None:
    shown: list[Phase] = []
    end = await drive.follow(
        FakeEngine(RUNNING, RUNNING, DONE), "r", show=lambda run: shown.append(run.status)
    )
    assert end is DONE
    assert shown[-1] is Phase.SUCCEEDED
    assert shown.count(Phase.RUNNING) >= 1


async def test_hooks_that_fire_last_may_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "GRACE", 60.0)
    monkeypatch.setattr(drive, "HOOKS_EVERY", 0.0)
    fired, ended = (
        execution(task("a"), hooks=[hook(phase)]) for phase in (Phase.READY, Phase.FAILED)
    )
    assert await drive.follow(FakeEngine(fired, fired, ended), "r") is ended


async def test_hooks_that_never_end_are_left() -> None:
    fired = execution(task("a"), hooks=[hook(Phase.READY)])
    assert await drive.follow(FakeEngine(fired), "r") is fired


async def test_a_time_limit_answers_with_the_run_as_it_stands() -> None:
    assert await drive.follow(FakeEngine(RUNNING), "r", limit=0.0) is RUNNING


async def test_the_first_suspended_task_is_resumed_once() -> None:
    engine = FakeEngine(*[SUSPENDED] * 20, DONE)
    await drive.follow(engine, "r", resume_after=0.0)
    assert engine.asked == [("resume", "r.4", {"__resumed": True})]


async def test_the_run_is_cancelled_after_the_first_suspension() -> None:
    engine = FakeEngine(*[SUSPENDED] * 20, DONE)
    await drive.follow(engine, "r", cancel_after=0.0)
    assert engine.asked == [("cancel", "r")]


async def test_nothing_is_steered_while_nothing_is_suspended() -> None:
    engine = FakeEngine(RUNNING, RUNNING, DONE)
    await drive.follow(engine, "r", resume_after=0.0, cancel_after=0.0)
    assert engine.asked == []


async def test_a_timer_that_has_not_fired_ends_with_the_run() -> None:
    engine = FakeEngine(SUSPENDED, SUSPENDED, DONE)
    await drive.follow(engine, "r", resume_after=3600.0)
    assert engine.asked == []
    assert len(asyncio.all_tasks()) == 1


async def test_a_resume_that_comes_too_late_is_no_error() -> None:
    engine = FakeEngine(*[SUSPENDED] * 20, DONE)
    engine.resume_error = GONE
    assert await drive.follow(engine, "r", resume_after=0.0) is DONE


async def test_a_fault_of_a_timer_is_not_swallowed() -> None:
    engine = FakeEngine(*[SUSPENDED] * 20, DONE)
    engine.resume_error = InvalidDocument(Problem("odd", "unexpected"))
    with pytest.raises(InvalidDocument):
        await drive.follow(engine, "r", resume_after=0.0)


async def test_a_cron_is_fired_as_often_as_asked_and_watched_until_it_is_settled() -> None:
    engine = FakeEngine()
    engine.crons = [cron(RUNNING), cron(RUNNING), cron(DONE)]
    view = await drive.follow_cron(engine, "c", triggers=3, is_settled=drive.all_ended)
    assert engine.asked == [("trigger", "c")] * 3
    assert view.runs == (DONE,)


async def test_a_large_run_is_looked_at_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert drive._pace(0.001) == drive.LOOK_EVERY
    assert drive._pace(1.0) == 4.0


async def test_a_document_is_submitted_with_arguments_of_its_declared_types() -> None:
    engine = FakeEngine(DONE)
    declared = load('{"spec": {"arguments": {"parameters": [{"name": "id", "type": "string"}]}}}')
    plan = Plan(arguments=["id=1", "n=1"], lenient=True)
    outcome = await run_document(engine, lambda: declared, plan)
    assert engine.asked == [("submit", {"id": "1", "n": 1}, True)]
    assert outcome.runs == [DONE]
    assert outcome.mismatches is None


async def test_templates_are_stored_before_the_document_is_read() -> None:
    engine = FakeEngine(DONE)
    templates = [load('{"kind": "WorkflowTemplate"}')]
    await run_document(engine, lambda: DOCUMENT, Plan(), read_templates=lambda: templates)
    assert [call[0] for call in engine.asked] == ["put_template", "submit"]


REFUSAL = InvalidDocument([Problem("a", "first"), Problem("b", "it must be a task template")])


@pytest.mark.parametrize(
    ("wanted", "mismatches"),
    [(None, None), ("must be a task template", 0), ("something else", 1), ("", 1)],
)
async def test_a_refused_submit_is_an_outcome(wanted: str | None, mismatches: int | None) -> None:
    plan = Plan(assertions=None if wanted is None else Assertions(expect_submit_error=wanted))
    outcome = await run_document(FakeEngine(refuse=REFUSAL), lambda: DOCUMENT, plan)
    assert outcome.refusal is REFUSAL
    assert outcome.runs == []
    assert outcome.mismatches if mismatches else not outcome.mismatches
    assert (outcome.mismatches is None) is (mismatches is None)


async def test_text_that_is_no_document_counts_as_a_refused_submit() -> None:
    outcome = await run_document(FakeEngine(), lambda: load("{"), Plan(assertions=Assertions()))
    assert outcome.refusal is not None
    assert outcome.mismatches


async def test_a_run_that_should_have_been_refused_is_stopped_and_not_checked_further() -> None:
    engine = FakeEngine(RUNNING)
    engine.after_cancel = execution(status=Phase.CANCELLED)
    wanted = Assertions(expect_submit_error="cycle", expect_phase="Succeeded")
    outcome = await run_document(engine, lambda: DOCUMENT, Plan(assertions=wanted))
    assert engine.asked[-1] == ("cancel", "r")
    assert outcome.mismatches == ["submit was accepted, expected a refusal with `cycle`"]


async def test_assertions_drive_and_judge_the_run() -> None:
    engine = FakeEngine(*[SUSPENDED] * 20, DONE)
    wanted = Assertions(auto_resume_after="1us", expect_phase="Failed")
    outcome = await run_document(engine, lambda: DOCUMENT, Plan(assertions=wanted))
    assert engine.asked[-1][0] == "resume"
    assert outcome.mismatches == ["the run is Succeeded, expected Failed"]


async def test_a_cron_is_fired_as_often_as_its_assertions_say_unless_told_otherwise() -> None:
    for triggers, times in ((None, 2), (5, 5)):
        engine = FakeEngine()
        engine.crons = [cron(DONE)]
        plan = Plan(assertions=Assertions(cron_trigger_count=2), triggers=triggers)
        await run_document(engine, lambda: CRON, plan)
        assert engine.asked == [("submit_cron",)] + [("trigger", "c")] * times


async def test_a_run_that_goes_on_settles_a_cron_whose_checks_hold() -> None:
    engine = FakeEngine()
    engine.crons = [cron(RUNNING)]
    wanted = Assertions(expect_run_phase="Running", expect_tasks=[TaskAssertion("a")])
    outcome = await run_document(engine, lambda: CRON, Plan(assertions=wanted))
    assert outcome.mismatches == []
    assert outcome.runs == [RUNNING]


async def test_history_is_read_page_by_page_and_only_when_asked_for() -> None:
    engine = FakeEngine(DONE)
    engine.entries = [LogEntry(seq, 0, b"") for seq in range(1, 6)]
    outcome = await run_document(engine, lambda: DOCUMENT, Plan(wants_history=True))
    assert [entry.seq for entry in outcome.history] == [1, 2, 3, 4, 5]
    outcome = await run_document(engine, lambda: DOCUMENT, Plan())
    assert outcome.history == ()


async def test_an_interrupt_cancels_the_run_and_tells_what_it_was_doing() -> None:
    engine = FakeEngine(RUNNING)
    engine.after_cancel = execution(status=Phase.CANCELLED)
    work = asyncio.create_task(run_document(engine, lambda: DOCUMENT, Plan()))
    await engine.on_wait.wait()
    work.cancel()
    outcome = await work
    assert outcome.stopped_by == signal.SIGINT
    assert [one.task_name for one in outcome.active] == ["a"]
    assert [run.status for run in outcome.runs] == [Phase.CANCELLED]


async def test_an_interrupt_stops_every_run_of_a_cron() -> None:
    engine = FakeEngine(RUNNING)
    engine.after_cancel = execution(status=Phase.CANCELLED)
    engine.crons = [cron(RUNNING)]
    seen = asyncio.Event()
    work = asyncio.create_task(
        run_document(engine, lambda: CRON, Plan(), lambda execution: seen.set())
    )
    await seen.wait()
    work.cancel()
    outcome = await work
    assert outcome.stopped_by == signal.SIGINT
    assert ("cancel", "r") in engine.asked
