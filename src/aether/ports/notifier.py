"""Notifier: told when a declared hook fires."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

HookName = Literal[
    "onStart", "onSuccess", "onFailure", "onError", "onSuspend", "onResume", "onCancel", "onExit"
]


class HookEvent(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """`event_id` is the same at every delivery of one event, so that a receiver can drop repeats."""

    event_id: str
    hook: HookName
    scope: Literal["workflow", "task"]
    run_id: str
    workflow_name: str = ""
    task_run_id: str = ""
    task_name: str = ""
    template: str = ""
    phase: str = ""
    at: int = 0
    context: dict[str, Any] = {}


class Notifier(Protocol):
    """`notify` delivers one event, and returns when it is delivered or raises when it could not be.

    It is awaited outside the run: a slow or failing notifier never delays or changes a run. Events of
    one run are handed over in order, one after the other; events of several runs may be handed over at
    the same time. An event may come again after a crash and is delivered again, under the same
    `event_id`. `close` gives up what is still being delivered or retried, whose `notify` raises then,
    and is idempotent; after it `notify` raises Refused `notifier-closed`.
    """

    async def notify(self, event: HookEvent) -> None: ...

    async def close(self) -> None: ...
