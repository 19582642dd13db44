"""`aether run` as a user calls it: real processes, real files, real signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from aether.cli import exits

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello.yaml"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def aether(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aether.cli", *map(str, arguments)],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
        **more,
    )


def document(task: dict[str, Any], **spec: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "aether/v1",
            "kind": "Workflow",
            "metadata": {"name": "demo"},
            "spec": {
                "entrypoint": "main",
                "templates": [{"task": {"name": "main", **task}}],
                **spec,
            },
        }
    )


def echo(*inputs: tuple[str, Any]) -> dict[str, Any]:
    parameters = [{"name": name, "value": value} for name, value in inputs]
    return {"executor": {"type": "echo"}, "inputs": {"parameters": parameters}}


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str, name: str = "doc.json") -> Path:
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    return write


def test_the_example_runs_and_prints_its_outputs(tmp_path: Path) -> None:
    done = aether("run", HELLO, "-a", "name=Ada", "--result", tmp_path / "deep" / "r.json")
    assert done.returncode == exits.OK, done.stderr
    assert '"Hello, Ada!"' in done.stdout
    result = json.loads((tmp_path / "deep" / "r.json").read_text("utf-8"))
    assert result["phase"] == "Succeeded"
    assert len(result["tasks"]) == 7


def test_json_is_one_object_and_nothing_else(file: Any) -> None:
    done = aether("run", HELLO, "--json")
    assert json.loads(done.stdout)["outputs"][0]["value"] == "Hello, World!"
    refused = aether("run", file("{}"), "--json")
    assert refused.returncode == exits.INVALID
    assert json.loads(refused.stdout)["problems"]


def test_a_document_comes_from_standard_input_too() -> None:
    done = aether("run", "-", input=HELLO.read_text("utf-8"))
    assert done.returncode == exits.OK


@pytest.mark.parametrize(
    ("task", "code"),
    [
        (echo(("x", 1)), exits.OK),
        (echo(("fail-count", 9)), exits.FAILED),
        (echo(("suspend", True)), exits.TIME_LIMIT),
        ({"executor": {}}, exits.INVALID),
    ],
)
def test_the_exit_code_says_how_it_went(file: Any, task: dict[str, Any], code: int) -> None:
    done = aether("run", file(document(task)), "--timeout", "500ms")
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.json"],
        [str(HELLO), "--timeout", "soon"],
        [str(HELLO), "-a", "novalue"],
        [str(HELLO), "--vars", "nonamespace=1"],
        [str(HELLO), "--vars", "workflow.x=1"],
        [str(HELLO), "--verify", "nowhere.json"],
        [str(HELLO), "--db", "nosuch:"],
        [str(HELLO), "--template", "nowhere.json"],
        [str(HELLO), "--frobnicate"],
        [str(HELLO), "--result", "/dev/null/x/y.json"],
        [],
    ],
)
def test_a_command_line_that_cannot_be_used_is_code_2_and_no_traceback(
    arguments: list[str], tmp_path: Path
) -> None:
    done = aether("run", *arguments, cwd=tmp_path)
    assert done.returncode == exits.USAGE, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"error\[[a-z-]+\]|Error", done.stderr)


def test_verify_says_only_whether_the_checks_hold(file: Any) -> None:
    failing = file(document(echo(("fail-count", 9))))
    good = file('{"expectPhase": "Failed", "expectTaskCount": 1}', "good.json")
    bad = file('{"expectPhase": "Succeeded"}', "bad.json")
    refused = file("{}", "refused.json")
    refusal = file('{"expectSubmitError": "apiVersion"}', "refusal.json")
    assert aether("run", failing, "--verify", good).returncode == exits.OK
    assert aether("run", failing, "--verify", bad).returncode == exits.VERIFY
    assert aether("run", refused, "--verify", refusal).returncode == exits.OK
    assert aether("run", refused, "--verify", good).returncode == exits.VERIFY
    assert aether("run", failing, "--verify", refusal).returncode == exits.VERIFY


def test_verify_resumes_what_is_suspended_and_offers_the_playgrounds_variables(file: Any) -> None:
    task = echo(("suspend", True), ("c", "{{deploy.cluster}}"), ("os", "{{system.os}}"))
    wanted = {
        "autoResumeAfter": "10ms",
        "expectPhase": "Succeeded",
        "expectTasks": [
            {"taskName": "main", "expectOutputs": {"c": "prod-cluster", "os": "{{runtime.os}}"}}
        ],
    }
    done = aether("run", file(document(task)), "--verify", file(json.dumps(wanted), "a.json"))
    assert done.returncode == exits.OK, done.stdout


def test_variables_of_the_command_line_reach_the_document(file: Any) -> None:
    task = echo(("where", "{{deploy.region}}"))
    done = aether("run", file(document(task)), "--vars", "deploy.region=eu-1", "--json")
    assert json.loads(done.stdout)["outputs"][0]["value"] == "eu-1"


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, exits.INTERRUPTED), (signal.SIGTERM, exits.TERMINATED)],
)
def test_a_signal_cancels_the_run_and_tells_what_it_was_doing(
    file: Any, sent: signal.Signals, code: int
) -> None:
    path = file(document(echo(("suspend", True))))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "aether.cli", "run", str(path)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    assert "Suspended" in process.stdout.readline()
    process.send_signal(sent)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == code, rest
    assert "was Suspended: main" in rest
    assert "Cancelled" in rest


def test_help_names_every_exit_code_and_every_command() -> None:
    text = " ".join(aether("run", "--help").stdout.split())
    for code, meaning in exits.MEANINGS.items():
        assert f"{code} {meaning}" in text
    assert {"run", "validate", "schema"} <= set(aether("--help").stdout.split())


def test_help_and_import_load_no_engine_and_no_terminal_library() -> None:
    code = (
        "import sys\n"
        "from aether.cli.main import run_cli\n"
        "assert run_cli(['--help']) == 0\n"
        "import aether\n"
        "print([n for n in ('aether.engine', 'aether.app', 'rich', 'asyncio', 'yaml') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_draws_the_report(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    assert aether("run", HELLO, "--report", report).returncode == exits.OK
    with tempfile.TemporaryDirectory() as profile:
        shown = subprocess.run(
            [
                str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", f"--user-data-dir={profile}", "--virtual-time-budget=3000",
                "--enable-logging=stderr", "--dump-dom", f"{report.as_uri()}?step=2#timeline",
            ],
            text=True, capture_output=True, timeout=60, check=True,
        )  # fmt: skip
    assert "CONSOLE" not in shown.stderr, shown.stderr
    assert shown.stdout.count('class="node') == 7
    assert 'id="step" for="slider" aria-live="polite">2 of ' in shown.stdout
    assert len(re.findall(r'class="bar[ "]', shown.stdout)) == 7
