"""`aether continue`: what a process left unfinished is brought to its end."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from aether.adapters.errors import CollectingSink
from aether.adapters.store import SqliteStore
from aether.app import Aether
from aether.cli import exits
from aether.cli.continuation import Followed, Request, _continue, exit_code
from aether.cli.main import run_cli
from aether.errors import Problem, Refused

APPROVAL = (Path(__file__).parents[3] / "examples" / "documents" / "approval.yaml").read_text()


def a_task(executor: str) -> dict[str, Any]:
    task = {"name": "main", "executor": {"type": executor}}
    return {
        "apiVersion": "aether/v1",
        "kind": "Workflow",
        "metadata": {"name": f"a-{executor}"},
        "spec": {"entrypoint": "main", "templates": [{"task": task}]},
    }


def left_behind(path: Path, **documents: Any) -> str:
    """The URL of a database with runs of an engine that is gone: none of them had a worker. Keywords
    are run ids."""

    async def live() -> None:
        app = Aether(store=SqliteStore(path, durability="normal"))
        await app.engine.start()
        for run_id, document in documents.items():
            await app.submit(document, run_id=run_id)
        await app.engine.stop()
        await app._store.close()

    asyncio.run(live())
    return f"sqlite:///{path}"


def test_all_unfinished_runs_go_on_and_are_told_as_they_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = left_behind(tmp_path / "a.db", one=a_task("echo"), two=a_task("echo"))
    assert run_cli(["continue", "--db", url]) == exits.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 runs to go on with"
    assert sorted(line.split()[-1] for line in lines[1:]) == ["one", "two"]
    assert all("✔ a-echo Succeeded" in line for line in lines[1:])
    assert run_cli(["continue", "--db", url]) == exits.OK
    assert "nothing to go on with" in capsys.readouterr().out


def test_one_run_is_shown_with_its_tasks_and_others_go_on_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = left_behind(tmp_path / "a.db", one=a_task("echo"), two=a_task("echo"))
    assert run_cli(["continue", "one", "--db", url]) == exits.OK
    assert "✔ Succeeded  main" in capsys.readouterr().out
    assert run_cli(["status", "one", "--db", url, "--json"]) == exits.OK
    assert json.loads(capsys.readouterr().out)["phase"] == "Succeeded"


def test_a_time_limit_leaves_the_run_as_it_stands_and_says_how_to_answer_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = left_behind(tmp_path / "a.db", ask=APPROVAL)
    assert run_cli(["continue", "--timeout", "200ms", "--db", url]) == exits.TIME_LIMIT
    text = capsys.readouterr().out
    assert "waits: main/ask: suspended" in text
    assert "aether continue ask --resume main/ask" in text
    resume = ["continue", "ask", "--db", url, "--resume"]
    assert run_cli([*resume, "nobody"]) == exits.NOT_FOUND
    assert "main/ask (ask.1)" in capsys.readouterr().err
    assert run_cli([*resume, "ask", "-a", "approved=true", "--json"]) == exits.OK
    told = json.loads(capsys.readouterr().out)
    (run,) = told["runs"]
    assert (run["phase"], told["exitCode"]) == ("Succeeded", exits.OK)
    answers = {value["name"]: value["value"] for value in run["tasks"][1]["outputs"]}
    assert answers == {"approved": True}
    assert run_cli([*resume, "ask"]) == exits.INVALID
    assert "error[not-suspended]" in capsys.readouterr().err


def test_what_is_resumed_is_a_task_of_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = left_behind(tmp_path / "a.db", one=a_task("echo"))
    assert run_cli(["continue", "--resume", "x", "--db", url]) == exits.INVALID
    assert "aether continue RUN --resume TASK" in capsys.readouterr().err


def test_the_exit_code_is_that_of_the_worst_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = a_task("shell")  # without a command the task is in error
    url = left_behind(tmp_path / "a.db", good=a_task("echo"), bad=broken)
    assert run_cli(["continue", "--db", url, "--timeout", "30s"]) == exits.FAILED
    assert "! a-shell Error" in capsys.readouterr().out
    assert exit_code(Followed(problems=[Refused(Problem("x", "y"))])) == exits.INVALID


def test_a_database_in_use_or_missing_is_told_and_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "b.db"
    assert run_cli(["continue", "--db", f"sqlite:///{missing}"]) == exits.USAGE
    assert "error[store-missing]" in capsys.readouterr().err
    assert not missing.exists()
    url = left_behind(tmp_path / "a.db", one=a_task("echo"))

    async def beside() -> int:
        store = SqliteStore(tmp_path / "a.db")
        await store.open()
        code = await asyncio.to_thread(run_cli, ["continue", "--db", url])
        await store.close()
        return code

    assert asyncio.run(beside()) == exits.USAGE
    assert "error[store-locked]" in capsys.readouterr().err


def test_an_interrupt_cancels_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = left_behind(tmp_path / "a.db", ask=APPROVAL, again=APPROVAL)
    request = Request(
        runs=["ask"], url=url, timeout=None, resume=None, arguments=(), evaluator="cel",
        as_json=True,
    )  # fmt: skip
    looked = asyncio.Event()

    async def interrupted() -> Followed:
        task = asyncio.create_task(_continue(request, url, None, CollectingSink()))
        await looked.wait()
        task.cancel()
        return await task

    see = Aether.get

    async def get(app: Aether, run_id: str) -> Any:
        looked.set()
        return await see(app, run_id)

    monkeypatch.setattr(Aether, "get", get)
    followed = asyncio.run(interrupted())
    assert exit_code(followed) == exits.INTERRUPTED == 128 + signal.SIGINT
    assert [str(run.status) for run in followed.executions] == ["Running"]
    assert run_cli(["list", "--db", url, "--json"]) == exits.OK
    assert {run["phase"] for run in json.loads(capsys.readouterr().out)["runs"]} == {"Running"}


def test_a_store_in_memory_keeps_nothing_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["continue", "--db", "memory:"]) == exits.USAGE
    assert "error[no-database]" in capsys.readouterr().err
