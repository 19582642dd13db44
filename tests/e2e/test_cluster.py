"""Several nodes on one PostgreSQL database: calls cross over, and a killed node's runs move on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from aether import Aether
from aether.adapters.store import PostgresStore
from aether.errors import InvalidState
from aether.record import Phase
from aether.testing.postgres import postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]  # fixtures

LEASE = timedelta(seconds=1)
TWO_STEPS = {
    "apiVersion": "aether/v1",
    "kind": "Workflow",
    "metadata": {"name": "two-steps"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "dag": {
                    "name": "main",
                    "tasks": [
                        {"name": "a", "executor": {"type": "step"}},
                        {"name": "b", "executor": {"type": "step"}, "dependencies": ["a"]},
                    ],
                }
            }
        ],
    },
}
WAITING = {
    **TWO_STEPS,
    "metadata": {"name": "waiting"},
    "spec": {
        "entrypoint": "main",
        "templates": [{"task": {"name": "main", "executor": {"type": "await"}}}],
    },
}
NODE = """
import asyncio, sys
from datetime import timedelta
from aether import Aether
from aether.adapters.store import PostgresStore

async def main(dsn, schema, count):
    app = Aether(store=PostgresStore(dsn, schema=schema), lease=timedelta(seconds=1), node="killed")

    @app.executor("step")
    async def step():
        await asyncio.Event().wait()

    async with app:
        runs = [await app.submit(DOCUMENT) for _ in range(int(count))]
        for run in runs:
            async for seen in app.watch(run):
                if seen.tasks and seen.task("a").status == "Running":
                    break
        print(" ".join(runs), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def a_node(server, schema, name):
    app = Aether(
        store=PostgresStore(server.dsn, schema=schema), lease=LEASE, node=name, artifacts=[]
    )

    @app.executor("step")
    async def step():
        return {}

    return app


async def test_nodes_carry_out_each_others_calls(postgres_server, postgres_schema):
    a = a_node(postgres_server, postgres_schema, "a")
    b = a_node(postgres_server, postgres_schema, "b")
    async with a, b:
        run_id = await a.submit(WAITING)
        async for run in b.watch(run_id):
            if run.tasks and run.task("main").status is Phase.SUSPENDED:
                break
        task = run.task("main").task_run_id
        answers = await asyncio.gather(
            *(node.resume(run_id, task, {"n": n}) for n, node in enumerate((b, a, b, a))),
            return_exceptions=True,
        )
        codes = sorted(getattr(answer, "code", "") for answer in answers)
        assert codes == ["", "not-suspended", "not-suspended", "not-suspended"]
        run = await b.wait(run_id, timeout=20)
        assert run.status is Phase.SUCCEEDED
        with pytest.raises(InvalidState) as over:
            await b.cancel(run_id)
        assert over.value.code == "run-over"
        await b.cancel(await a.submit(WAITING))


async def test_a_node_hears_from_another_long_before_it_would_look(
    postgres_server, postgres_schema
):
    """With a hint each way a call takes some milliseconds; by looking alone, up to a second."""
    a = a_node(postgres_server, postgres_schema, "a")
    b = a_node(postgres_server, postgres_schema, "b")
    async with a, b:
        runs = [await a.submit(WAITING) for _ in range(10)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        for run_id in runs:
            await b.pause(run_id)
        assert loop.time() - began < 5


async def test_what_a_stopped_node_left_goes_on_elsewhere_at_once(postgres_server, postgres_schema):
    a = a_node(postgres_server, postgres_schema, "a")
    b = a_node(postgres_server, postgres_schema, "b")
    async with b:
        async with a:
            run_id = await a.submit(WAITING)
        async for run in b.watch(run_id):
            if run.tasks and run.task("main").status is Phase.SUSPENDED:
                break
        await b.resume(run_id, run.task("main").task_run_id)
        assert (await b.wait(run_id, timeout=20)).status is Phase.SUCCEEDED


async def test_runs_of_a_killed_node_move_on_within_its_lease(
    postgres_server, postgres_schema, tmp_path: Path
):
    script = tmp_path / "node.py"
    script.write_text(f"DOCUMENT = {TWO_STEPS!r}\n{NODE}")
    async with a_node(postgres_server, postgres_schema, "b") as b:
        process = subprocess.Popen(
            [sys.executable, str(script), postgres_server.dsn, postgres_schema, "20"],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
        )
        try:
            line = await asyncio.to_thread(process.stdout.readline)
            runs = line.split()
            assert len(runs) == 20, "the other node has begun them all"
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        ended = await asyncio.gather(*(b.wait(run, timeout=30) for run in runs))
        assert {run.status for run in ended} == {Phase.SUCCEEDED}
        for run in ended:
            assert run.task("a").attempt == 1, "a lost worker is no failed attempt"
