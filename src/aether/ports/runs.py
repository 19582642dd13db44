"""FunctionRuns: starts runs of functions and speaks with them; what an app calls, wherever the engine is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from ..record import Phase, Want
from .api import Execution

OnExisting = Literal["attach", "fail", "restart_failed"]


class FunctionStart(msgspec.Struct, kw_only=True):
    """What begins a run of a function. `inputs` are encoded NamedValues, named by its parameters."""

    name: str
    version: str = ""
    inputs: bytes | None = None
    run_id: str = ""
    on_existing: OnExisting = "attach"
    delay: int = 0  # microseconds until it begins
    at: datetime | None = None  # or the instant
    timeout: int = 0  # microseconds for the whole run; 0 is none
    labels: Mapping[str, str] | None = None
    tier: str = ""
    limits: tuple[Want, ...] | None = None  # None: as the function's workers have announced
    priority: int = 500
    singleton: str = ""  # a limited key of which at most one run exists at a time


class RunEnd(msgspec.Struct, frozen=True):
    """How a run ended. `outputs` hold one value `result`, or one value `error`."""

    run_id: str
    phase: Phase
    message: str = ""
    outputs: bytes | None = None


class FunctionRuns(Protocol):
    """Everything that code outside a function run may ask of it.

    `start_function` returns the run's id once the start is as safe as the run's tier promises. An id
    that exists: a run of the same function with the same inputs is attached to, also when it is over
    (with `fail` it is Refused `run-exists`; with `restart_failed` one that ended without success begins
    anew as another attempt under the same id, linked to the old one); other inputs, or another function,
    are Refused `id-conflict`. While a run holds the key `singleton`, or waits for it, that run is the one
    (with `fail`, Refused `singleton-running`). `end` waits for the end, NotFound or WaitTimeout
    otherwise. `signal` is recorded once it returns, at most once for each `key` that is not ""; a run
    that is over refuses it (InvalidState `run-over`). `update` waits for the function's answer: the
    encoded result, or Refused `update-refused`. `query` records nothing. `cancel` lets the function
    clean up; with `force` it does not.
    """

    async def start_function(self, start: FunctionStart) -> str: ...

    async def end(self, run_id: str, timeout: timedelta | float | None = None) -> RunEnd: ...

    async def get(self, run_id: str) -> Execution: ...

    def watch(self, run_id: str) -> AsyncIterator[Execution]: ...

    async def signal(
        self, run_id: str, name: str, payload: bytes | None = None, key: str = ""
    ) -> None: ...

    async def update(
        self,
        run_id: str,
        name: str,
        payload: bytes | None = None,
        key: str = "",
        timeout: timedelta | float | None = None,
    ) -> bytes | None: ...

    async def query(self, run_id: str, name: str, payload: bytes | None = None) -> bytes | None: ...

    async def cancel(self, run_id: str, by: str = "the user", *, force: bool = False) -> None: ...

    async def pause(self, run_id: str, by: str = "the user") -> None: ...

    async def unpause(self, run_id: str) -> None: ...
