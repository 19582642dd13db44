"""A run that was killed: found, explained and brought to its end from the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aether.cli import exits

ROOT = Path(__file__).parents[2]
APPROVAL = ROOT / "examples" / "documents" / "approval.yaml"
AETHER = [sys.executable, "-m", "aether.cli"]


def aether(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AETHER, *arguments], text=True, capture_output=True, timeout=60, check=False, **more
    )


def killed_when(line: str, *arguments: str) -> None:
    """Runs `aether` until it prints `line`, and kills it there and then."""
    with subprocess.Popen([*AETHER, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line in printed for printed in process.stdout), "it never came so far"
        process.kill()


def test_killed_run_is_listed_explained_and_finished(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    killed_when("Suspended  main/ask", "run", str(APPROVAL), "--db", url)
    listed = aether("list", "--db", url)
    assert "▶ Running  approval" in listed.stdout
    assert "waits: main/ask: suspended" in listed.stdout
    killed_when("Suspended  main/ask", "continue", "--db", url)
    done = aether("continue", "last", "--resume", "ask", "-a", "approved=true", "--db", url)
    assert done.returncode == exits.OK, done.stdout + done.stderr
    assert "✔ approval Succeeded" in done.stdout
    log = aether("log", "last", "--db", url).stdout
    assert log.count("taken over by another engine") == 2
    assert "main/ask: Suspended → Ready" in log
    status = json.loads(aether("status", "last", "--db", url, "--json").stdout)
    assert (status["phase"], status["progress"]) == ("Succeeded", "3/3")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_task_that_was_running_when_its_process_was_killed_runs_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    for pipe in ("begun", "hold"):
        os.mkfifo(tmp_path / pipe)
    script = "test -e gate && exit 0; echo yes > begun; cat hold"
    command = {"name": "command", "value": ["sh", "-c", script]}
    inputs = {"parameters": [command, {"name": "cwd", "value": str(tmp_path)}]}
    task = {"name": "main", "executor": {"type": "shell"}, "inputs": inputs}
    document = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "killed"},
        "spec": {"entrypoint": "main", "templates": [{"task": task}]},
    }
    (tmp_path / "doc.json").write_text(json.dumps(document), "utf-8")
    with subprocess.Popen([*AETHER, "run", str(tmp_path / "doc.json"), "--db", url]) as process:
        assert (tmp_path / "begun").read_text() == "yes\n"
        process.kill()
    (tmp_path / "hold").write_text("")  # what it had started may end
    (tmp_path / "gate").touch()
    done = aether("continue", "--db", url)
    assert done.returncode == exits.OK, done.stdout + done.stderr
    status = json.loads(aether("status", "last", "--db", url, "--json").stdout)
    (task_run,) = status["tasks"]
    assert (task_run["phase"], task_run["retryCount"]) == ("Succeeded", 0)


def test_time_limit_of_a_run_says_how_to_go_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    done = aether("run", str(APPROVAL), "--db", url, "--timeout", "200ms")
    assert done.returncode == exits.TIME_LIMIT
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("go on with: ")]
    run_id = told.split()[-3]
    assert told == f"go on with: aether continue {run_id} --db {url}"
    assert aether("status", run_id, "--db", url).returncode == exits.OK
