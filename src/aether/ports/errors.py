"""ErrorSink: where faults go that nobody waits for."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec


class Fault(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """`operation` says what was being done, and `next` what happens now."""

    operation: str
    what: str
    next: str = ""
    run_id: str = ""
    task_run_id: str = ""
    severity: Literal["info", "warning", "error", "critical"] = "error"


class ErrorSink(Protocol):
    """`on_error` takes one fault, of any severity and with any text, and returns at once: it must not
    block and is not awaited. `error` is the exception behind it, if there is one; it may be an exception
    that cannot even print itself. It may be called from any thread, with or without a running event
    loop, and takes faults in the order of the calls. It should not raise; whatever it raises is dropped,
    and a sink never changes the course of a run."""

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None: ...
