"""How a function ends: as the fact that says so, or without a trace."""

from __future__ import annotations

import asyncio
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ..record import Completed, Continued, Fact, Failed, Path, Stopped
from . import codec
from .calls import ContinueAsNew, Detached
from .errors import encode_error
from .loop import FlowLoop, bare_io

if TYPE_CHECKING:
    from .run import FlowRun

_THROWS = 100  # times a function may wait again in `finally` before it is closed
_SUCCESSOR = re.compile(r"(.*)::(\d{1,9})", re.DOTALL)
_LONGEST_ID = 128


def end_of(main: asyncio.Task[Any], run: FlowRun) -> Fact | None:
    """The fact that says how `main`, which is done, has ended. None: it was put away."""
    if main.cancelled():
        if run.cancelled:
            return Stopped()
        return failure(StrayCancellation("the function cancelled itself"), run)
    error = main.exception()
    if error is None:
        try:
            return Completed(outputs=codec.encode(main.result()))
        except Exception as refusal:  # noqa: BLE001 - the result is no data
            return failure(refusal, run)
    if isinstance(error, ContinueAsNew):
        return Continued(run_id=next_run_id(run.run_id), inputs=error.inputs)
    if isinstance(error, Detached):
        return None
    return failure(error, run)


class StrayCancellation(Exception):
    """A CancelledError left the function although nobody had cancelled its run."""


def failure(error: BaseException, run: FlowRun) -> Failed:
    error = explained(error)
    error_type, message, outputs = encode_error(error, "", run.attempt)
    return Failed(message=message, error_type=error_type, outputs=outputs)


def explained(error: BaseException) -> BaseException:
    """`error`, or what it means where asyncio's own words help nobody."""
    if isinstance(error, RuntimeError | ValueError) and "different loop" in str(error):
        better = bare_io("awaited something that belongs to the real event loop")
        better.__cause__ = error
        return better
    return error


def unwind(loop: FlowLoop, main: asyncio.Task[Any]) -> list[Any]:
    """Throws Detached into every task of the function, its children first, until all have ended. Returns
    the coroutines that go on whatever is thrown: whoever lets go of one makes it run again."""
    loop.ready.clear()
    tasks = [*reversed(loop.tasks), main]
    stubborn: list[Any] = []

    def throw() -> None:
        for task in tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coro = task.get_coro()
                if not _ends(coro):
                    stubborn.append(coro)
                elif (awaited := task._fut_waiter) is not None:  # type: ignore[attr-defined]
                    awaited.cancel()  # it knows the task: no collector should have to part them

    loop.inside(throw)
    loop.ready.clear()
    loop.tasks.clear()
    return stubborn


def _ends(coro: Any) -> bool:
    try:
        for _ in range(_THROWS):
            coro.throw(Detached())
    except BaseException:  # noqa: BLE001 - it ends with Detached, or with what its cleanup made of it
        return True
    return False


def child_run_id(run_id: str, path: Path) -> str:
    """The id of the child that is called on `path`: always the same, and told apart from every other."""
    digest = blake2b(f"{path.branch}\0{path.name}\0{path.occurrence}".encode(), digest_size=6)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name).strip("-")[:32] or "child"
    tail = f":{name}-{digest.hexdigest()}"
    if len(run_id) + len(tail) > _LONGEST_ID:
        run_id = blake2b(run_id.encode(), digest_size=16).hexdigest()
    return run_id + tail


def next_run_id(run_id: str) -> str:
    """The id of the run that continues `run_id`: `order-1`, `order-1::2`, `order-1::3` …"""
    found = _SUCCESSOR.fullmatch(run_id)
    if found is not None:
        return f"{found[1]}::{int(found[2]) + 1}"
    if len(run_id) > _LONGEST_ID - 12:
        run_id = blake2b(run_id.encode(), digest_size=16).hexdigest()
    return f"{run_id}::2"
