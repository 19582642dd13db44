"""`cancel`, `pause`, `unpause`, `resume`: asking the engine that has a run, from another process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from aether import Aether
from aether.cli import exits
from aether.cli.main import run_cli
from aether.record import Phase

WAITING = {
    "apiVersion": "aether/v1",
    "kind": "Workflow",
    "metadata": {"name": "waiting"},
    "spec": {
        "entrypoint": "main",
        "templates": [{"task": {"name": "main", "executor": {"type": "await"}}}],
    },
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/aether.db"


async def call(*arguments: str) -> int:
    """One command line, beside the engine of this process."""
    return await asyncio.to_thread(run_cli, list(arguments))


async def suspended(app: Aether, run_id: str) -> None:
    async for run in app.watch(run_id):
        if run.tasks and run.task("main").status is Phase.SUSPENDED:
            return


async def test_the_engine_that_has_the_file_carries_out_what_others_ask(url, capsys):
    async with Aether(url, artifacts=[]) as app:
        run_id = await app.submit(WAITING)
        await suspended(app, run_id)
        assert await call("pause", run_id, "--db", url) == 0
        assert (await app.get(run_id)).paused_at is not None
        assert await call("unpause", "last", "--db", url) == 0
        assert (await app.get(run_id)).paused_at is None
        assert await call("resume", run_id, "main", "--set", "n=1", "--db", url, "--json") == 0
        run = await app.wait(run_id, timeout=10)
        assert run.task("main").input_values == {"n": 1}
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [f"{run_id} is paused", f"{run_id} goes on"]
    assert json.loads(out[2]) == {"runId": run_id, "answered": True}


async def test_whoever_asks_is_told_why_it_was_refused(url, capsys):
    async with Aether(url, artifacts=[]) as app:
        run_id = await app.submit(WAITING)
        await suspended(app, run_id)
        assert await call("resume", run_id, "other", "--db", url) == exits.NOT_FOUND
        assert await call("cancel", run_id, "--db", url) == 0
        assert (await app.wait(run_id, timeout=10)).status is Phase.CANCELLED
        for command in ("cancel", "pause"):
            assert await call(command, run_id, "--db", url) == exits.INVALID
        assert await call("cancel", "nobody", "--db", url) == exits.NOT_FOUND
    told = capsys.readouterr().err
    for code in ("task-not-found", "run-over", "run-not-found"):
        assert f"error[{code}]" in told


async def test_a_call_waits_for_an_engine_if_none_runs(url, capsys):
    async with Aether(url, artifacts=[]) as app:
        run_id = await app.submit(WAITING)
        await suspended(app, run_id)
    assert await call("cancel", run_id, "--timeout", "0", "--db", url) == exits.TIME_LIMIT
    assert "waits for one" in capsys.readouterr().out
    async with Aether(url, artifacts=[]) as app:
        assert (await app.wait(run_id, timeout=10)).status is Phase.CANCELLED
