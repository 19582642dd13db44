"""Every conformance document, three ways: the plan alone, the engine, and the command line."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from click.testing import CliRunner

from aether.adapters.cron import ManualScheduler
from aether.adapters.evaluator import SimpleEvaluator
from aether.adapters.variables import StaticVars
from aether.app import Aether
from aether.cli import drive, exits, verify
from aether.cli.main import cli
from aether.errors import InvalidDocument, ProblemError
from aether.expr import CelEvaluator, Evaluator
from aether.record import ACTION_LOG, TIERS
from conformance.suite import DOCUMENTS, FOLDER, PLATFORM, read, through_plan

DEPLOY = {"cluster": "prod-cluster", "region": "ap-east-1"}
EVALUATORS = {"cel": CelEvaluator(), "simple": SimpleEvaluator()}


def test_there_are_documents_to_run() -> None:
    assert len(DOCUMENTS) >= 20


@pytest.mark.parametrize("evaluator", EVALUATORS.values(), ids=EVALUATORS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_plan_alone_satisfies_the_document(name: str, evaluator: Evaluator) -> None:
    document, assertions = read(name)
    if assertions.expect_submit_error:
        with pytest.raises(ProblemError) as refusal:
            through_plan(document, assertions, evaluator)
        assert assertions.expect_submit_error in str(refusal.value)
        return
    execution = through_plan(document, assertions, evaluator)
    if document["kind"] == "CronWorkflow":
        if assertions.expect_run_phase:
            assert execution.status == assertions.expect_run_phase
        assert verify.check_tasks(execution.tasks, assertions.expect_tasks or (), PLATFORM) == []
    else:
        assert verify.check(execution, assertions, PLATFORM) == []


@pytest.mark.parametrize("evaluator", ["cel", "simple"])
@pytest.mark.parametrize("name", DOCUMENTS)
async def test_engine_satisfies_the_document(name: str, evaluator: str) -> None:
    await _through_engine(name, evaluator, "memory:", ACTION_LOG)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", DOCUMENTS)
async def test_engine_satisfies_the_document_on_sqlite(
    name: str, tier: str, tmp_path: Path
) -> None:
    await _through_engine(name, "cel", f"sqlite:{tmp_path / 'aether.db'}", tier)


async def _through_engine(name: str, evaluator: str, url: str, tier: str) -> None:
    document, assertions = read(name)
    names = {"os": _go_os(), "arch": _go_arch()}
    async with Aether(
        url,
        tier=tier,
        evaluator=evaluator,
        variables=[StaticVars("deploy", DEPLOY)],
        cron_scheduler=ManualScheduler(),
    ) as app:
        try:
            if document["kind"] == "CronWorkflow":
                cron_id = await app.submit_cron(document)
                cron = await drive.follow_cron(
                    app,
                    cron_id,
                    triggers=assertions.cron_trigger_count or 1,
                    limit=5,
                    is_settled=lambda cron: not verify.check_cron(cron, assertions, names),
                )
                mismatches = verify.check_cron(cron, assertions, names)
            else:
                run_id = await app.submit(document)
                execution = await drive.follow(
                    app,
                    run_id,
                    limit=5,
                    resume_after=assertions.resume_seconds,
                    cancel_after=assertions.cancel_seconds,
                )
                mismatches = verify.check(execution, assertions, names)
        except InvalidDocument as refusal:
            mismatches = verify.check_refusal(str(refusal), assertions)
    assert mismatches == []


@pytest.mark.parametrize("evaluator", ["cel", "simple"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_command_line_verifies_the_document(name: str, evaluator: str) -> None:
    result = CliRunner().invoke(
        cli,
        [
            "run",
            str(FOLDER / "examples" / name),
            "--verify",
            str(FOLDER / "assertions" / name),
            "--evaluator",
            evaluator,
        ],
        standalone_mode=False,
    )
    assert result.return_value == exits.OK, result.output


def test_command_line_fails_when_a_check_does_not_hold(tmp_path: Path) -> None:
    wrong = tmp_path / "assertions.json"
    wrong.write_text('{"expectPhase": "Failed"}')
    document = str(FOLDER / "examples" / "01-single-task.json")
    result = CliRunner().invoke(
        cli, ["run", document, "--verify", str(wrong)], standalone_mode=False
    )
    assert result.return_value == exits.VERIFY
    assert "expected Failed" in result.output


def _go_os() -> str:
    return {"Linux": "linux", "Darwin": "darwin", "Windows": "windows"}[platform.system()]


def _go_arch() -> str:
    return {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[
        platform.machine()
    ]
