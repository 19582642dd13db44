"""Hooks as lines of the standard log."""

from __future__ import annotations

import logging

from ...errors import Problem, Refused
from ...ports import HookEvent


class LogNotifier:
    def __init__(self, logger: logging.Logger | None = None, level: int = logging.INFO) -> None:
        self._logger = logger or logging.getLogger("aether.hooks")
        self._level = level
        self._closed = False

    async def notify(self, event: HookEvent) -> None:
        if self._closed:
            raise Refused(
                Problem("notifier-closed", "this LogNotifier is closed", fix="make another")
            )
        self._logger.log(
            self._level,
            "hook %s of %s %s, run %s%s (event %s)",
            event.hook,
            event.scope,
            event.task_name or event.workflow_name,
            event.run_id,
            f", phase {event.phase}" if event.phase else "",
            event.event_id,
        )

    async def close(self) -> None:
        self._closed = True
