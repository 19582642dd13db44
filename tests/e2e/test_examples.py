"""Every file under examples/ runs as a user would run it, and ends as its comment promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
RUN = ("-m", "aether.cli", "run")


@dataclass(frozen=True)
class Case:
    """`arguments` go to `aether run` for a document, to the script otherwise."""

    file: str
    prints: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    exit_code: int = 0
    env: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join((self.file, *self.arguments))


TEMPLATE = ("--template", str(EXAMPLES / "documents" / "greeting-template.yaml"))
CASES = [
    Case("hello.yaml", ('greeting      "Hello, World!"', '["English","French","Latin"]')),
    Case("hello.yaml", ('"Hello, Ada!"',), ("-a", "name=Ada")),
    Case("documents/approval.yaml", ("Suspended  main/ask  Deploy", "waits: main/ask"),
         ("--timeout", "500ms"), exit_code=6),
    Case("documents/artifacts.yaml", ('stock  "17 apples"',)),
    Case("documents/build.yaml", ("retry 2", "Skipped    main/package-windows",
                                  'status  "published for linux"')),
    Case("documents/build.yaml", ("Skipped    main/package-linux",), ("-a", "os=windows")),
    Case("documents/build.yaml", ("allowed are: linux, windows",), ("-a", "os=plan9"), exit_code=3),
    Case("documents/greeting-template.yaml", ("--template FILE",), exit_code=3),
    Case("documents/hooks.yaml", ("hooks Succeeded", "main/fragile Failed",
                                  "onFailure of main/fragile: alert Succeeded",
                                  "onExit: tell Succeeded")),
    Case("documents/limits.yaml", ("pages  [1,2,3,4,5,6]",)),
    Case("documents/limits.yaml", ("limits Failed", "1 task failed: pages"),
         ("-a", "broken=3"), exit_code=4),
    Case("documents/nightly.yaml", ("30 2 * * * (Europe/Berlin)  2 runs", "removed  12"),
         ("--trigger", "2")),
    Case("documents/polling.yaml", ("poll.loop[2]/look", 'seen             "look 3"')),
    Case("documents/secrets.yaml", (r'stdout  "7\n"',), env=(("AETHER_SECRET_SHOP_API_KEY", "hunter2"),)),
    Case("documents/secrets.yaml", ("there is no secret shop/api-key",), exit_code=4),
    Case("documents/shell.yaml", (r'''said        "it's \"quoted\" & safe\n"''', "characters  21")),
    Case("documents/uses-template.yaml", ('greeting  "Hello, Ada!"',), TEMPLATE),
    Case("documents/uses-template.yaml", ("there is no stored template 'greeting@1.0'",), exit_code=3),
    Case("bring_your_own/workflow.yaml", ("no worker serves executor type 'shout'",),
         ("--timeout", "500ms"), exit_code=6),
    Case("bring_your_own/main.py", ("Succeeded {'text': 'IT WORKS!'}",)),
    Case("bring_your_own_store/main.py", ("the run is Running, and its tasks are 2 files",
                                          "another engine has ended it: Succeeded")),
    Case("functions/quickstart.py", ("HELLO, ADA!!!",)),
    Case("functions/order_processing.py", ("'receipt': 'o-1: 45 paid, thank you'",
                                           "WorkflowFailed from OutOfStock('gone-2')")),
    Case("functions/parallel.py", ("{'few': 14, 'many': 2646700, 'asyncio': 3000}",)),
    Case("functions/conditional.py", ("2500 paid after 3 checks", "50000 refused")),
    Case("functions/child_workflows.py", ("'dog.png': ['dog.png@64',",)),
    Case("functions/error_handling.py", ("failed in step 'book': NoSeat: the plane is full",
                                         "still booked: []")),
    Case("functions/long_running.py", ("the last attempt copied 40 of 100 rows",)),
    Case("functions/human_approval.py", ("approved by Grace", "nobody answered")),
    Case("functions/agent_loop.py", ("the result is 42",)),
    Case("functions/mixed.py", ("the party costs 16",)),
    Case(
        "functions/limits.py",
        (
            "the third: waiting for a slot of 'customer:ann': 2 of 2",
            "ann-0 ann-1 ann-2 ann-3 bob-0",
            "at most 2 of ann at once",
        ),
    ),
    Case("functions/schedules.py", ("nightly-report at 0 3 * * * in Europe/Berlin: made once",)),
    Case("functions/fastapi_app.py", ("{'phase': 'Running', 'stage': 'waiting for the code'}",
                                      "{'result': 'ada is welcome'}", "404")),
    Case("python_functions.py", ("Succeeded fetch needed 3 attempts", "order 3: 30 EUR")),
    Case("pausing_a_run.py", ("customers: paused by Ada", "{'copied': 'customers'}]")),
    Case("surviving_a_restart.py", ("the run is Running", "has ended it: Succeeded")),
    Case("watching_a_run.py", ("ask asks: Deploy to production?", "{'result': 'deployed'}")),
]  # fmt: skip


def run(case: Case, folder: Path) -> subprocess.CompletedProcess[str]:
    path = str(EXAMPLES / case.file)
    program = [path] if path.endswith(".py") else [*RUN, path]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AETHER_")}
    return subprocess.run(
        [sys.executable, "-W", "error", *program, *case.arguments],
        cwd=folder,
        env={**env, **dict(case.env), "NO_COLOR": "1", "PYTHONPATH": str(ROOT / "src")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_example_ends_as_expected(case: Case, tmp_path: Path) -> None:
    done = run(case, tmp_path)
    assert done.returncode == case.exit_code, done.stdout
    for text in case.prints:
        assert text in done.stdout
    for _, secret in case.env:
        assert secret not in done.stdout


def files() -> list[str]:
    return sorted(
        path.relative_to(EXAMPLES).as_posix()
        for path in EXAMPLES.rglob("*")
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts
    )


def test_every_file_has_an_expectation() -> None:
    parts = {"bring_your_own_store/file_records.py"}  # imported by the example beside it
    assert files() == sorted({case.file for case in CASES} | parts)


def test_every_file_is_listed_in_the_readme() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([^)]+)\)", text))
    assert {name for name in files() if not name.startswith("bring_your_own")} <= linked
    assert {"bring_your_own/main.py", "bring_your_own_store/README.md"} <= linked


def test_bringing_your_own_takes_under_60_lines() -> None:
    lines = (EXAMPLES / "bring_your_own" / "main.py").read_text("utf-8").splitlines()
    assert len(lines) < 60


@pytest.mark.parametrize(
    ("file", "option"), [("hello.yaml", "--trigger=3"), ("documents/nightly.yaml", "-aa=1")]
)
def test_an_option_that_would_be_ignored_is_refused(file: str, option: str, tmp_path: Path) -> None:
    done = run(Case(file, (), (option,)), tmp_path)
    assert done.returncode == 3
    assert "error[bad-argument]" in done.stdout
