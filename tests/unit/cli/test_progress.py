"""What a run looks like while it goes on and when it is over."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import click
import pytest
from cli_runs import BEGAN, cron, execution, hook, task, values

from aether.cli import exits, output
from aether.cli.progress import SIBLINGS, PlainLog, _tree, tree_lines
from aether.cli.result import cron_result, duration_text, refusal_result, run_result
from aether.errors import Problem, Where
from aether.ports import Execution, Metrics, Omitted
from aether.record import Phase


def wide(children: int) -> Execution:
    inside = [
        task(
            f"t{n}",
            Phase.FAILED if n == 7 else Phase.RUNNING if n == 8 else Phase.SUCCEEDED,
            number=n + 1,
            parent_run_id="r.0",
        )
        for n in range(children)
    ]
    return execution(task("main", Phase.RUNNING, template_type="dag"), *inside)


def test_the_tree_shows_children_below_their_parents() -> None:
    lines = tree_lines(wide(3), 50)
    assert [(line.depth, line.task.task_name if line.task else "") for line in lines] == [
        (0, "main"), (1, "t0"), (1, "t1"), (1, "t2"),
    ]  # fmt: skip


def test_many_siblings_are_counted_and_what_matters_is_shown() -> None:
    lines = tree_lines(wide(1000), 50)
    assert [line.task.task_name for line in lines if line.task] == ["main", "t7", "t8"]
    assert lines[-1].text == "… 998 Succeeded"
    assert len(tree_lines(wide(SIBLINGS), 50)) == SIBLINGS + 1


def test_the_tree_never_takes_more_lines_than_the_terminal_has() -> None:
    lines = tree_lines(wide(12), 5)
    assert len(lines) == 5
    assert lines[-1].text == "… 9 more lines"


def test_the_live_tree_names_phase_retries_and_reason() -> None:
    one = task("a", Phase.FAILED, retry_count=2, message="boom\nand more")
    waiting = task("b", Phase.READY, number=1, waiting_for="no worker for type x")
    text = _tree(execution(one, waiting, progress="1/2"), 10).plain
    assert "✘ a  Failed  retry 2 · boom and more" in text
    assert "○ b  Ready  no worker for type x" in text


def test_a_log_has_one_line_for_each_end_suspension_and_retry() -> None:
    lines: list[str] = []
    log = PlainLog(lambda line: lines.append(click.unstyle(line)))
    for status, retries in (
        (Phase.READY, 0), (Phase.RUNNING, 0), (Phase.READY, 1), (Phase.READY, 1), (Phase.SUSPENDED, 1),
        (Phase.RUNNING, 1), (Phase.SUCCEEDED, 1), (Phase.SUCCEEDED, 1),
    ):  # fmt: skip
        log(execution(task("a", status, retry_count=retries), status=Phase.RUNNING))
    assert [line.split("  ")[1].strip().split()[-1] for line in lines] == [
        "Ready", "Suspended", "Succeeded",
    ]  # fmt: skip


def test_a_container_is_logged_after_the_child_that_ended_it() -> None:
    lines: list[str] = []
    ended = Metrics(finished_at=BEGAN + timedelta(seconds=1))
    log = PlainLog(lambda line: lines.append(line.split()[-1]))
    child = task("a", scope="main/", depth=1, number=1, metrics=ended)
    log(execution(task("main", metrics=ended), child))
    assert lines == ["main/a", "main"]


def test_the_end_tells_outputs_faults_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    run = execution(
        task("main", Phase.FAILED, template_type="dag", message="1 failed"),
        task("a", Phase.FAILED, number=1, message="boom"),
        status=Phase.FAILED,
        outputs=values(sum=3, text="x\ny"),
        warnings=["warning[w]: something\n  at a.yaml:3:1"],
        metrics=Metrics(duration=timedelta(seconds=2)),
    )
    output.print_run(run)
    shown = capsys.readouterr().out
    assert "✘ demo Failed in 2s" in shown
    assert "✘ a Failed: boom" in shown
    assert "warning[w]: something\n    at a.yaml:3:1" in shown
    assert 'text  "x\\ny"' in shown
    assert "main Failed" not in shown


def test_a_run_that_is_not_over_tells_why_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_run(execution(status=Phase.RUNNING, waiting_for=["a: no worker for type x"]))
    assert "waits: a: no worker for type x" in capsys.readouterr().out


def test_more_faults_than_fit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    bad = [task(f"t{n}", Phase.ERROR, number=n) for n in range(output.SHOWN_FAULTS + 3)]
    output.print_faults(execution(*bad))
    assert "and 3 more" in capsys.readouterr().out


def test_the_verdict_lists_every_mismatch(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_verdict(["one", "two"], "a.json")
    assert "2 checks do not hold\n  one\n  two" in capsys.readouterr().out
    output.print_verdict([], "a.json")
    assert "every check of a.json holds" in capsys.readouterr().out


def test_a_result_is_json_with_the_members_that_are_promised() -> None:
    run = execution(
        task("a", scope="main/", inputs=values(n=1), metrics=Metrics(BEGAN, BEGAN, timedelta(0))),
        outputs=values(sum=3),
        metrics=Metrics(BEGAN, BEGAN + timedelta(seconds=1.5)),
        omitted=[Omitted("b", "main/", "a failed")],
    )
    data = json.loads(json.dumps(run_result(run, "x.yaml")))
    assert data["runID"] == "r"
    assert (data["workflow"], data["phase"], data["elapsedMs"]) == ("x.yaml", "Succeeded", 1500)
    assert data["startTime"] == "2026-01-02T03:04:05.000Z"
    assert data["outputs"] == [{"name": "sum", "type": "", "value": 3}]
    assert {
        "runID", "taskName", "scope", "templateName", "templateType", "phase", "message", "retryCount",
        "inputs", "outputs", "startedAt", "finishedAt", "duration",
    } <= data["tasks"][0].keys()  # fmt: skip
    assert data["omitted"] == [{"taskName": "b", "scope": "main/", "reason": "a failed"}]
    assert cron_result(cron(run), "x.yaml")["runs"] == [data]


def test_a_refusal_as_json_has_every_problem() -> None:
    problem = Problem("c", "w", Where("f", 1, 2, "spec"), "fix it")
    data = refusal_result([problem, problem], "x.yaml")
    assert data["problems"][0]["where"] == "f:1:2, spec"
    assert len(data["problems"]) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0004, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (62, "1m2s"), (3600, "1h0m0s")],
)
def test_durations_read_as_in_documents(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


def test_exit_codes_say_how_a_run_ended() -> None:
    codes = {phase: exits.of_phase(phase) for phase in Phase if phase is not Phase.SKIPPED}
    assert {phase for phase, code in codes.items() if code == exits.OK} == {Phase.SUCCEEDED}
    assert {phase for phase, code in codes.items() if code == exits.FAILED} == {
        Phase.FAILED, Phase.ERROR, Phase.TIMEOUT,
    }  # fmt: skip
    assert codes[Phase.CANCELLED] == exits.CANCELLED
    assert codes[Phase.SUSPENDED] == exits.TIME_LIMIT
    assert len(set(exits.MEANINGS)) == len(exits.MEANINGS) == 13


def test_the_exit_codes_of_the_docs_are_those_of_the_code() -> None:
    page = Path(__file__).parents[3] / "docs" / "running-documents.md"
    written = dict(re.findall(r"(?m)^\| (\d+) \| (.+) \|$", page.read_text("utf-8")))
    meanings = {str(code): text for code, text in exits.MEANINGS.items()}
    plain = {
        code: text.replace("`", "").replace(" (--timeout 30s)", "")
        for code, text in written.items()
    }
    assert plain == meanings


def test_a_log_says_when_nobody_can_run_a_task() -> None:
    told: list[str] = []
    log = PlainLog(told.append)
    stuck = task("a", Phase.READY, waiting_for="no worker serves executor type 'x'")
    log(execution(stuck, task("b", Phase.READY, number=1, waiting_for="queued")))
    log(execution(stuck))
    assert len(told) == 1
    assert "no worker serves executor type 'x'" in told[0]


def test_hooks_are_told_with_what_they_ran(capsys: pytest.CaptureFixture[str]) -> None:
    hooks = [
        hook(Phase.SUCCEEDED, template_name="tidy"),
        hook(Phase.ERROR, template_name="alert", task_run_id="r.0", message="nobody answers"),
    ]
    output.print_hooks(execution(task("a"), hooks=hooks))
    assert capsys.readouterr().out.splitlines() == [
        "  ✔ onExit: tidy Succeeded",
        "  ! onExit of a: alert Error, nobody answers",
    ]
