"""`aether demo`, which is what `make run` calls: a newcomer's first minute."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

DEMO = [sys.executable, "-W", "error", "-m", "aether.cli", "demo", "--http-port", "0"]


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_first_workflow_runs_and_its_result_and_address_are_printed(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"Ciao, World!"' in done.stdout
    assert re.search(
        r"look at it    http://127\.0\.0\.1:\d+/pages/runs/[-0-9a-f]{36}\n", done.stdout
    )
    assert "`aether serve` starts it again" in done.stdout


def test_run_is_still_there_for_the_next_command(tmp_path: Path) -> None:
    demo(tmp_path)
    listed = subprocess.run(
        [sys.executable, "-m", "aether.cli", "list"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Succeeded  demo" in listed.stdout


def test_it_serves_on_when_asked_to_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DEMO, "--stay"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("look at it"):
                    with urlopen(line.split()[-1], timeout=10) as page:
                        assert b"demo" in page.read()
                    break
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_document_that_is_refused_says_why_and_where(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: aether/v1\nkind: Workflow\nmetadata: {name: bad}\nspec: {}\n")
    done = demo(tmp_path, str(bad))
    assert done.returncode == 3
    assert "error[" in done.stderr
    assert "bad.yaml" in done.stderr


def test_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    done = demo(tmp_path, "nothing.yaml")
    assert done.returncode != 0
    assert "error[file-unreadable]" in done.stderr
    assert "nothing.yaml" in done.stderr
