"""Metrics: what is counted, and the text that Prometheus reads."""

from __future__ import annotations

import re

from http_world import ECHO, World

from aether.record import Phase, RunPatch, RunRow, TaskPatch, TaskRow
from aether.server.metrics import Both, Metrics
from aether.testing import FakeClock


def value(text: str, line: str) -> float:
    found = re.findall(rf"(?m)^{re.escape(line)} (\S+)$", text)
    assert len(found) == 1, (line, found)
    return float(found[0])


def run_of(name: str, run_id: str = "r", phase: Phase = Phase.RUNNING) -> RunRow:
    return RunRow(run_id=run_id, name=name, document=b"", created_at=0, phase=phase)


def task_of(ordinal: int, **more: object) -> TaskRow:
    return TaskRow(ordinal=ordinal, task_name="t", executor="echo", created_at=0, **more)  # type: ignore[arg-type]


async def test_a_run_is_counted_by_its_workflow_and_how_it_ended(there: World) -> None:
    metrics = Metrics(there.services.clock)
    there.app.engine.observe(Both(metrics.changed, there.services.feed.changed))
    run_id = await there.submitted(ECHO)
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    await there.suspended()
    text = metrics.text()
    assert value(text, 'aether_runs_total{workflow="hello",phase="Succeeded"}') == 1
    assert value(text, 'aether_runs_active{workflow="hello"}') == 0
    assert value(text, 'aether_runs_active{workflow="approval"}') == 1
    assert value(text, 'aether_tasks_total{executor="echo",phase="Succeeded"}') == 1
    assert value(text, 'aether_task_start_to_close_seconds_count{executor="echo"}') == 1
    assert run_id not in text


def test_latencies_are_from_ready_to_started_and_from_there_to_the_end() -> None:
    metrics = Metrics(FakeClock())
    second = 1_000_000
    metrics.changed(run_of("w"), [task_of(1, phase=Phase.READY, ready_at=0)])
    metrics.changed(run_of("w"), [TaskPatch(1, started_at=2 * second)])
    done = TaskPatch(1, phase=Phase.SUCCEEDED, finished_at=5 * second)
    metrics.changed(run_of("w"), [done])
    text = metrics.text()
    assert value(text, 'aether_task_schedule_to_start_seconds_sum{executor="echo"}') == 2
    assert value(text, 'aether_task_start_to_close_seconds_sum{executor="echo"}') == 3
    assert value(text, 'aether_task_start_to_close_seconds_bucket{executor="echo",le="2.5"}') == 0
    assert value(text, 'aether_task_start_to_close_seconds_bucket{executor="echo",le="5"}') == 1
    assert value(text, 'aether_task_start_to_close_seconds_bucket{executor="echo",le="+Inf"}') == 1


def test_an_attempt_after_a_retry_is_timed_on_its_own() -> None:
    metrics = Metrics(FakeClock())
    metrics.changed(run_of("w"), [task_of(1, phase=Phase.RUNNING, ready_at=0, started_at=0)])
    metrics.changed(
        run_of("w"), [TaskPatch(1, phase=Phase.READY, retry_count=1, ready_at=9_000_000)]
    )
    metrics.changed(run_of("w"), [TaskPatch(1, phase=Phase.RUNNING, started_at=9_000_000)])
    metrics.changed(run_of("w"), [TaskPatch(1, phase=Phase.FAILED, finished_at=10_000_000)])
    text = metrics.text()
    assert value(text, 'aether_task_retries_total{executor="echo"}') == 1
    assert value(text, 'aether_task_start_to_close_seconds_sum{executor="echo"}') == 1


def test_the_oldest_task_in_a_queue_says_how_long_it_waits() -> None:
    clock = FakeClock()
    metrics = Metrics(clock, queues=lambda: {"echo": 2})
    began = clock.now()
    for ordinal in (1, 2):
        ready = began - 3_000_000 * ordinal
        metrics.changed(run_of("w"), [task_of(ordinal, phase=Phase.READY, ready_at=ready)])
    assert value(metrics.text(), 'aether_queue_depth{executor="echo"}') == 2
    assert value(metrics.text(), 'aether_queue_oldest_seconds{executor="echo"}') == 6


def test_runs_that_were_taken_up_and_transactions_are_counted() -> None:
    metrics = Metrics(FakeClock())
    metrics.changed(run_of("w"), [RunPatch(epoch=2)])
    metrics.committed(3, 0.002)
    metrics.commit_failed()
    text = metrics.text()
    assert value(text, "aether_runs_taken_up_total") == 1
    assert value(text, 'aether_commit_batch_size_bucket{le="4"}') == 1
    assert value(text, "aether_commit_failures_total") == 1


def test_names_beyond_a_thousand_are_counted_together() -> None:
    metrics = Metrics(FakeClock())
    for number in range(1500):
        run = run_of(f"w{number}", str(number), Phase.SUCCEEDED)
        metrics.changed(run, [RunPatch(phase=Phase.SUCCEEDED)])
    text = metrics.text()
    assert value(text, 'aether_runs_total{workflow="other",phase="Succeeded"}') == 500


def test_a_name_with_quotes_and_lines_stays_one_label() -> None:
    metrics = Metrics(FakeClock())
    metrics.changed(run_of('a"b\\c\nd'), [])
    assert 'aether_runs_active{workflow="a\\"b\\\\c\\nd"} 1' in metrics.text()
