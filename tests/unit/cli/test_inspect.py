"""Looking at stored runs from the shell: list, status, show, log, diff."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from aether.adapters.store import SqliteStore
from aether.app import Aether
from aether.cli import exits
from aether.cli.main import run_cli
from aether.testing.rows import a_run, committed, creating

DOCUMENTS = Path(__file__).parents[3] / "examples" / "documents"
HELLO = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: hello}
spec:
  entrypoint: main
  arguments: {parameters: [{name: name, type: string, value: World}]}
  templates:
    - task:
        name: main
        executor: {type: echo}
        inputs: {parameters: [{name: greeting, value: "Hello, {{workflow.parameters.name}}!"}]}
"""


class Shell:
    """Calls `aether` on one database; answers the exit code, what it said and what it complained of."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self.capsys = capsys

    def __call__(self, *arguments: str, code: int = exits.OK) -> str:
        found = run_cli([*arguments, "--db", self.url])
        out, self.err = self.capsys.readouterr()
        assert found == code, out + self.err
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: `ada` and `eve` said hello, `ask` waits for an answer."""
    path = tmp_path_factory.mktemp("runs") / "aether.db"

    async def live() -> None:
        async with Aether(store=SqliteStore(path, durability="normal")) as app:
            for name in ("ada", "eve"):
                await app.wait(await app.submit(HELLO, {"name": name}, run_id=name))
            await app.submit((DOCUMENTS / "approval.yaml").read_text(), run_id="ask")
            async for execution in app.watch("ask"):
                if any(task.status == "Suspended" for task in execution.tasks):
                    break

    asyncio.run(live())
    return path


@pytest.fixture
def shell(path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(f"sqlite:///{path}", capsys)


# list


def test_list_shows_newest_runs_first_and_why_they_wait(shell: Shell) -> None:
    lines = shell("list").splitlines()
    assert [line.split()[3] for line in lines if line[0] != " "] == ["ask", "eve", "ada"]
    assert lines[0].startswith("▶ Running    approval  ask  20")
    assert lines[0].split()[-2:] == ["-", "0/2"]
    assert lines[1] == (
        "    waits: main/ask: suspended, waiting for a resume: Deploy to production?"
    )
    assert re.fullmatch(r"✔ Succeeded  hello     eve  20\S+ \S+Z  \S*s +1/1", lines[2])
    assert "\x1b" not in "".join(lines), "no colours where there is no terminal"


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--phase", "succeeded"], ["eve", "ada"]),
        (["--phase", "Succeeded", "--phase", "Running"], ["ask", "eve", "ada"]),
        (["--unfinished"], ["ask"]),
        (["--name", "hello", "--oldest"], ["ada", "eve"]),
        (["--cron", "none"], []),
        (["--limit", "1"], ["ask"]),
    ],
)  # fmt: skip
def test_list_takes_only(shell: Shell, options: list[str], ids: list[str]) -> None:
    assert [run["runID"] for run in shell.json("list", *options)["runs"]] == ids


def test_list_goes_on_behind_a_page(shell: Shell) -> None:
    first = shell("list", "--limit", "2")
    cursor = re.search(r"there are more: --after (\S+)", first)
    assert cursor is not None
    rest = shell.json("list", "--limit", "2", "--after", cursor[1])
    assert ([run["runID"] for run in rest["runs"]], rest["cursor"]) == (["ada"], "")
    shell("list", "--after", "nonsense", code=exits.INVALID)
    assert "error[bad-cursor]" in shell.err


def test_list_of_nothing_says_so(shell: Shell) -> None:
    assert shell("list", "--name", "nobody") == "no runs\n"


def test_list_has_a_few_reasons_of_a_run_that_waits_for_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.db"
    leaf = {"name": "x", "executor": {"type": "nobody"}}
    document = {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": "wide"},
        "spec": {
            "entrypoint": "l",
            "templates": [
                {"loop": {"name": "l", "items": [*range(30)], "body": "x"}},
                {"task": leaf},
            ],
        },
    }

    async def live() -> None:
        async with Aether(store=SqliteStore(path, durability="normal")) as app:
            await app.engine.unregister_schemas("local")
            await app.submit(document)

    asyncio.run(live())
    text = Shell(f"sqlite:///{path}", capsys)("list")
    assert text.count("waits: ") == 3
    assert "… and 18 more" in text


# Which run


def test_a_run_is_named_by_id_by_the_beginning_of_its_id_or_as_the_last(shell: Shell) -> None:
    for name in ("eve", "ev", "e"):
        assert shell.json("status", name)["runID"] == "eve"
    assert shell.json("status", "last")["runID"] == "ask"


def test_a_run_is_found_by_the_beginning_of_its_id_among_any_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fill() -> None:
        store = SqliteStore(tmp_path / "a.db", durability="normal")
        await store.open()
        await committed(store, creating(a_run("needle-1", created_at=1)))
        await store.commit(
            [creating(a_run(f"hay-{number}", created_at=2 + number)) for number in range(12_000)]
        )
        await store.close()

    asyncio.run(fill())
    shell = Shell(f"sqlite:///{tmp_path}/a.db", capsys)
    assert shell.json("status", "nee")["runID"] == "needle-1"
    assert [run["runID"] for run in shell.json("list", "--text", "NEEDLE")["runs"]] == ["needle-1"]
    shell("status", "hay", code=exits.INVALID)
    assert "several ids begin with 'hay'" in shell.err


def test_names_that_fit_no_run_or_several_are_refused(shell: Shell) -> None:
    shell("status", "zoe", code=exits.NOT_FOUND)
    assert "error[run-not-found]: there is no run 'zoe'" in shell.err
    shell("status", "a", code=exits.INVALID)
    assert "error[ambiguous-run]: several ids begin with 'a': ask, ada" in shell.err


def test_the_last_run_of_an_empty_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(f"sqlite:///{tmp_path}/a.db", capsys)
    shell("db", "migrate")
    shell("show", "last", code=exits.NOT_FOUND)
    assert "there is no run yet" in shell.err


# Which database


def test_without_a_database_the_problem_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AETHER_URL", raising=False)
    assert run_cli(["list"]) == exits.USAGE
    assert "error[no-database]" in capsys.readouterr().err
    for command in (["list"], ["status", "x"], ["show", "x"], ["log", "x"], ["diff", "x", "y"]):
        assert run_cli([*command, "--db", "memory:"]) == exits.USAGE
        assert "error[no-database]" in capsys.readouterr().err


def test_the_database_comes_from_the_environment_or_the_usual_place(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AETHER_URL", f"sqlite:///{path}")
    assert run_cli(["list"]) == exits.OK
    assert "approval" in capsys.readouterr().out
    monkeypatch.delenv("AETHER_URL")
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/aether.db").write_bytes(path.read_bytes())
    assert run_cli(["status", "ask"]) == exits.OK
    assert "approval" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("sqlite:///no/such/file.db", "store-missing"),
        ("sqlite://host/file.db", "bad-store-url"),
        ("mysql://host/db", "unknown-store"),
    ],
)
def test_databases_that_cannot_be_read(
    url: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(url, capsys)
    shell("list", code=exits.USAGE)
    assert f"error[{code}]" in shell.err


async def test_runs_are_shown_beside_an_engine_that_works_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SqliteStore(tmp_path / "a.db", durability="normal")
    await store.open()
    await committed(store, creating(a_run("mine")))
    shell = Shell(f"sqlite:///{tmp_path}/a.db", capsys)
    assert "mine" in await asyncio.to_thread(shell, "list")
    assert "mine" in await asyncio.to_thread(shell, "status", "mine")
    await store.close()


# status


def test_status_says_in_its_first_line_why_a_run_waits(shell: Shell) -> None:
    lines = shell("status", "ask").splitlines()
    assert lines[0] == (
        "▶ approval Running, waits: "
        "main/ask: suspended, waiting for a resume: Deploy to production?"
    )
    assert "  run       ask" in lines
    assert "  tasks     0/2 over" in lines
    assert lines[-1] == "if no engine works on it any more: aether continue ask"


def test_status_of_a_run_that_is_over_says_how_it_ended(shell: Shell) -> None:
    text = shell("status", "ada")
    assert text.startswith("✔ hello Succeeded in ")
    assert text.endswith('outputs\n  greeting  "Hello, ada!"\n')
    assert "continue" not in text


# show


def test_show_has_the_tasks_as_a_tree_with_their_values(shell: Shell) -> None:
    lines = shell("show", "ask").splitlines()
    assert lines[1:] == [
        "  ask, step 2",
        "  ▶ main Running",
        "    ⏸ ask Suspended  Deploy to production?",
        '        in  message = "Deploy to production?"',
    ]
    assert '      out greeting = "Hello, ada!"' in shell("show", "ada").splitlines()


def test_show_at_a_step_shows_the_run_as_it_stood_then(shell: Shell) -> None:
    text = shell("show", "ada", "--at", "1")
    assert text.startswith("○ hello Ready, waits: main: queued for a worker of type 'echo' since")
    assert "ada, as of step 1" in text
    assert "out greeting" not in text
    then = shell.json("show", "ada", "--at", "1")
    assert (then["seq"], then["phase"], then["outputs"]) == (1, "Ready", [])
    assert shell.json("show", "ada")["phase"] == "Succeeded"
    shell("show", "ada", "--at", "99", code=exits.NOT_FOUND)
    assert "error[no-such-step]: run ada has no step 99: its steps are 1 to " in shell.err


def test_show_writes_a_page_with_the_steps_so_far(shell: Shell, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    assert f"report: {page}" in shell("show", "ada", "--report", str(page))
    assert page.read_text("utf-8").count('"seq":') == shell.json("show", "ada")["seq"]
    shell("show", "ada", "--at", "1", "--report", str(page))
    assert page.read_text("utf-8").count('"seq":') == 1
    shell("show", "ada", "--report", str(tmp_path), code=exits.INVALID)
    assert "error[file-unwritable]" in shell.err


# log


def test_log_tells_each_step_in_sentences(shell: Shell) -> None:
    lines = shell("log", "ask").splitlines()
    assert re.fullmatch(r"1 +0\.000s  run: created from approval, Ready", lines[0])
    assert lines[2].strip() == "main/ask: created (executor await), Ready"
    assert re.fullmatch(r"2 +\d+\.\d{3}s  main/ask: Ready → Suspended: Deploy .*\?", lines[3])
    behind = shell("log", "ask", "--after", "1").splitlines()
    assert behind == lines[3:]


def test_log_as_json_has_one_object_a_line(shell: Shell) -> None:
    steps = [json.loads(line) for line in shell("log", "ask", "--json").splitlines()]
    assert [step["seq"] for step in steps] == [1, 2]
    assert set(steps[0]) == {"seq", "at", "changes"}


def test_a_run_without_a_log_has_a_status_and_no_past(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.db"

    async def live() -> None:
        store = SqliteStore(path, durability="normal", keeps_log=False)
        async with Aether(store=store) as app:
            await app.wait(await app.submit(HELLO, run_id="bare"))

    asyncio.run(live())
    shell = Shell(f"sqlite:///{path}", capsys)
    for command in (["log", "bare"], ["show", "bare", "--at", "1"], ["diff", "bare@1", "bare"]):
        shell(*command, code=exits.INVALID)
        assert "error[no-log]" in shell.err
    assert "Succeeded" in shell("status", "bare")
    page = tmp_path / "page.html"
    assert "Hello, World!" in shell("show", "bare", "--report", str(page))
    assert '"steps":[]' in page.read_text("utf-8")


# diff


def test_diff_of_two_runs_names_what_differs_and_nothing_else(shell: Shell) -> None:
    lines = shell("diff", "ada", "eve").splitlines()
    assert re.fullmatch(r"a: ada at step \d+", lines[0])
    assert lines[2:] == [
        "run",
        '  arguments.name: "ada" → "eve"',
        '  outputs.greeting: "Hello, ada!" → "Hello, eve!"',
        "main",
        '  inputs.greeting: "Hello, ada!" → "Hello, eve!"',
        '  outputs.greeting: "Hello, ada!" → "Hello, eve!"',
    ]
    assert shell("diff", "ada", "ada").endswith("no difference\n")


def test_diff_of_a_run_at_two_steps(shell: Shell) -> None:
    found = shell.json("diff", "ask@1", "ask@2")
    assert (found["a"], found["b"]) == ({"runID": "ask", "seq": 1}, {"runID": "ask", "seq": 2})
    assert not found["same"]
    assert found["run"] == [{"what": "status", "a": "Ready", "b": "Running"}]
    assert [task["path"] for task in found["tasks"]] == ["main", "main/ask"]
    shell("diff", "ask@1", "ask@9", code=exits.NOT_FOUND)
    assert "error[no-such-step]" in shell.err
    shell("diff", "ask@1", "nobody@1", code=exits.NOT_FOUND)
    assert "there is no run 'nobody'" in shell.err
