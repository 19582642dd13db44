"""Offload: the way blocking work leaves the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Offload(Protocol):
    """Runs `work` where it may block, with the caller's context variables, and returns what it returns
    or raises what it raises. Work that has begun cannot be stopped: cancelling the call gives up
    waiting for it; work that has not begun is then never begun."""

    async def __call__(self, work: Callable[[], T]) -> T: ...
