"""Type checkers refuse bad uses of the public names, accept good ones, and know what comes back."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
USES = Path(__file__).with_name("uses.py")
LINES = USES.read_text("utf-8").splitlines()[4:]
FIRST = 5
BAD = {at for at, line in enumerate(LINES, FIRST) if line.endswith("# error")}
KINDS = {at: line.split("# is: ")[1] for at, line in enumerate(LINES, FIRST) if "# is: " in line}


def run(*argv: str) -> str:
    env = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=ROOT,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.stdout


def check(refused: dict[int, str], revealed: dict[int, str]) -> None:
    assert {at: refused[at] for at in refused.keys() - BAD} == {}, "good uses are refused"
    assert {at: LINES[at - FIRST] for at in BAD - refused.keys()} == {}, "bad uses are accepted"
    assert {at: revealed.get(at) for at in KINDS} == KINDS


@pytest.mark.slow
def test_mypy_refuses_bad_uses_and_knows_results() -> None:
    out = run("mypy", "--strict", str(USES))
    refused: dict[int, str] = {}
    revealed: dict[int, str] = {}
    for at, kind, text in re.findall(r"uses\.py:(\d+): (error|note): (.*)", out):
        if kind == "error":
            refused[int(at)] = text
        elif found := re.fullmatch(r'Revealed type is "(.*)"', text):
            revealed[int(at)] = re.sub(r"\b[a-z][a-z_.]*\.(?=\w)", "", found[1])
    check(refused, revealed)


@pytest.mark.slow
def test_mypy_accepts_the_examples() -> None:
    examples = sorted(str(path) for path in (ROOT / "examples" / "functions").glob("*.py"))
    assert len(examples) > 10
    assert "Success" in (out := run("mypy", "--strict", *examples)), out


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pyright") is None or shutil.which("node") is None,
    reason="pyright and Node are not installed",
)
def test_pyright_refuses_bad_uses_and_knows_results() -> None:
    out = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable, str(USES)))
    refused: dict[int, str] = {}
    revealed: dict[int, str] = {}
    for found in out["generalDiagnostics"]:
        at, text = found["range"]["start"]["line"] + 1, found["message"]
        if found["severity"] == "error":
            refused[at] = text
        elif text.startswith("Type of"):
            revealed[at] = text.split('" is "')[-1].removesuffix('"')
    check(refused, revealed)
