"""What the workload does with its runs: executors with side effects that are counted, and the acts that
some kinds of runs wait for.

In: an engine. Out: lines about what was acknowledged, and a file with a line for each execution. Never:
an acknowledgement before the call has returned, or an effect that is not on disk.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aether.app import Aether
from aether.errors import InvalidState
from aether.ports import Execution, Outcome, Request, Schema
from aether.record import Phase

Say = Callable[[str], None]


class Effects:
    """A line for each execution, on disk before the execution goes on: whatever the engine forgets."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def count(self, request: Request) -> None:
        line = f"{request.task_run_id} {request.epoch} {request.delivery}\n"
        os.write(self._handle, line.encode())
        os.fsync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


class Work:
    """One executor type: counts its effect, then does what the type is for."""

    def __init__(self, executor_type: str, effects: Effects) -> None:
        self.schema = Schema(type=executor_type)
        self._effects = effects

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any]:
        self._effects.count(request)
        match self.schema.type:
            case "flaky":
                if request.attempt <= 2:
                    return Outcome.error(f"attempt {request.attempt} fails")
            case "broken":
                return Outcome.failed("it always fails")
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await asyncio.sleep(0.003)
            case "ask" if not request.resumed:
                return Outcome.suspended("waits for an answer", asked=True)
        return _more(request.inputs)


def _more(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"n": int(inputs.get("n") or 0) + 1}


def equip(app: Aether, effects: Effects) -> None:
    for executor_type in ("work", "flaky", "broken", "hang", "slow", "ask"):
        app.register(Work(executor_type, effects))

    @app.executor("plain")
    def plain(request: Request, n: int) -> Mapping[str, Any]:
        effects.count(request)
        return _more({"n": n})


async def act(app: Aether, run_id: str, token: str, say: Say) -> None:
    """Do what a run of a kind in ACTED_UPON waits for, wherever an earlier process left it."""
    paused = False
    async for run in app.watch(run_id):
        try:
            match run.name:
                case "suspend":
                    await _answer(app, run, token, say)
                case "cancel" if _has_begun(run, "hangs"):
                    await app.cancel(run_id)
                    say(f"acked cancel {run_id}")
                case "pause" if run.paused_at is not None:
                    say(f"asks unpause {run_id}")
                    await app.unpause(run_id)
                    say(f"acked unpause {run_id}")
                case "pause" if not paused and _has_begun(run, "a"):
                    paused = True
                    say(f"asks pause {run_id}")
                    await app.pause(run_id, by=token)
                    say(f"acked pause {run_id} {token}")
        except InvalidState as error:
            if error.code not in ("run-over", "not-suspended"):
                raise


async def _answer(app: Aether, run: Execution, token: str, say: Say) -> None:
    for task in run.tasks:
        if task.status is Phase.SUSPENDED:
            await app.resume(run.run_id, task.task_run_id, {"token": token})
            say(f"acked resume {task.task_run_id} {token}")


def _has_begun(run: Execution, name: str) -> bool:
    return any(t.task_name == name and t.status is not Phase.CREATED for t in run.tasks)
