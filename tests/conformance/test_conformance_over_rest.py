"""Every conformance document once more, with REST between it and the engine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from http_world import Client, Reply, world

from aether.adapters.cron import ManualScheduler
from aether.adapters.variables import StaticVars
from aether.cli import drive, verify
from aether.errors import InvalidDocument, InvalidState, Problem, WaitTimeout
from aether.ports import CronExecution, Execution
from conformance.suite import DOCUMENTS, read

DEPLOY = {"cluster": "prod-cluster", "region": "ap-east-1"}
NAMES = {
    "os": {"Linux": "linux", "Darwin": "darwin", "Windows": "windows"}[platform.system()],
    "arch": {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[
        platform.machine()
    ],
}


class OverRest:
    """A Runner that knows nothing but requests and answers."""

    def __init__(self, ask: Client) -> None:
        self._ask = ask

    async def submit(self, path: str, document: Any) -> str:
        reply = await self._ask("POST", path, document)
        if reply.status == 422:
            told = reply.json.get("problems") or [{**reply.json, "what": reply.json["detail"]}]
            raise InvalidDocument([Problem(each["code"], each["what"]) for each in told])
        location: str = self._good(reply).headers["location"]
        return location.rpartition("/")[2]

    async def get(self, run_id: str) -> Execution:
        return msgspec.json.decode(
            self._good(await self._ask("GET", f"/runs/{run_id}")).body, type=Execution
        )

    async def wait(self, run_id: str, timeout: float | None = None) -> Execution:
        reply = await self._ask(
            "GET", f"/runs/{run_id}/result?wait={60 if timeout is None else timeout:.6f}"
        )
        if self._good(reply).status == 202:
            raise WaitTimeout(Problem("wait-timeout", "it goes on"))
        return await self.get(run_id)

    async def cancel(self, run_id: str) -> None:
        self._good(await self._ask("POST", f"/runs/{run_id}/cancel", {}))

    async def resume(self, run_id: str, task_run_id: str, payload: Mapping[str, Any]) -> None:
        body = {"taskRunId": task_run_id, "payload": payload}
        self._good(await self._ask("POST", f"/runs/{run_id}/resume", body))

    async def trigger_cron(self, cron_id: str) -> object:
        return self._good(await self._ask("POST", f"/crons/{cron_id}/trigger", {})).json

    async def get_cron(self, cron_id: str) -> CronExecution:
        reply = self._good(await self._ask("GET", f"/crons/{cron_id}"))
        return msgspec.json.decode(reply.body, type=CronExecution)

    def _good(self, reply: Reply) -> Reply:
        if reply.status == 409:
            raise InvalidState(Problem(reply.json["code"], reply.json["detail"]))
        assert reply.status < 300, reply.body
        return reply


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_the_document_is_satisfied_over_rest(name: str, tmp_path: Path) -> None:
    document, assertions = read(name)
    wired = {"variables": [StaticVars("deploy", DEPLOY)], "cron_scheduler": ManualScheduler()}
    async with world(tmp_path, app=wired) as there:
        runner = OverRest(there.ask)
        try:
            if document["kind"] == "CronWorkflow":
                cron = await drive.follow_cron(
                    runner,
                    await runner.submit("/crons", document),
                    triggers=assertions.cron_trigger_count or 1,
                    limit=5,
                    is_settled=lambda cron: not verify.check_cron(cron, assertions, NAMES),
                )
                mismatches = verify.check_cron(cron, assertions, NAMES)
            else:
                execution = await drive.follow(
                    runner,
                    await runner.submit("/runs", document),
                    limit=5,
                    resume_after=assertions.resume_seconds,
                    cancel_after=assertions.cancel_seconds,
                )
                mismatches = verify.check(execution, assertions, NAMES)
        except InvalidDocument as refusal:
            mismatches = verify.check_refusal(str(refusal), assertions)
    assert mismatches == []
