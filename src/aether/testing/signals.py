"""Signals that a test has ready for whichever run waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..engine import Engine
from ..flow import encode
from ..ports import Execution, RunQuery
from ..record import Phase

_OPEN = (Phase.CREATED, Phase.READY, Phase.RUNNING, Phase.SUSPENDED)


class Signals:
    """Payloads by signal. Each wait has one, which it is sent again if the process dies meanwhile."""

    def __init__(self, payloads: Mapping[str, Any]) -> None:
        self._ready = {
            name: list(given) if isinstance(given, list) else given
            for name, given in payloads.items()
        }
        self._payloads: dict[str, Any] = {}  # by wait
        self._sent: set[str] = set()
        self._sending: set[asyncio.Future[None]] = set()

    async def send_one(self, engine: Engine) -> bool:
        """Begins to send the first that a run waits for; False when there is none. It is not waited for: a
        process that dies meanwhile does not answer."""
        if not self._ready:
            return False
        for run in await open_runs(engine):
            for task in run.tasks:
                name, key = task.task_name, task.task_run_id
                if task.template_type != "wait" or task.status.is_terminal or key in self._sent:
                    continue
                if key not in self._payloads:
                    given = self._ready.get(name, [])
                    if isinstance(given, list) and not given:
                        continue
                    self._payloads[key] = given.pop(0) if isinstance(given, list) else given
                self._send(engine, run.run_id, name, key)
                return True
        return False

    def _send(self, engine: Engine, run_id: str, name: str, key: str) -> None:
        self._sent.add(key)
        data = encode(self._payloads[key], f"the payload of signal '{name}'")
        sending = asyncio.ensure_future(engine.signal(run_id, name, data, key))
        self._sending.add(sending)

        def sent(task: asyncio.Future[None]) -> None:
            self._sending.discard(task)
            if task.cancelled() or task.exception() is not None:
                self._sent.discard(key)

        sending.add_done_callback(sent)

    def forget(self) -> None:
        """The process is dead: what was not recorded is sent again, and what was is not taken twice."""
        for sending in list(self._sending):
            sending.cancel()
        self._sent.clear()


async def open_runs(engine: Engine) -> list[Execution]:
    page = await engine.list(RunQuery(phases=_OPEN, limit=1000))
    return [await engine.get(run.run_id) for run in page.runs]
