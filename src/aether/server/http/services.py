"""What handlers work with: the engine's calls, and the parts of this server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ...ports import Clock, Control, ErrorSink, Execution, LogEntry, Offload
from ..feed import Feed

if TYPE_CHECKING:
    from .access import Access
    from .bulk import Bulk

Report = Callable[[Execution, bytes, Any, Sequence[LogEntry]], str]


class Queries(Protocol):
    """Asks functions that run in this process."""

    async def query(self, run_id: str, name: str, payload: bytes | None = None) -> bytes | None: ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may cost."""

    body: int = 4 << 20  # bytes
    depth: int = 100  # objects and lists in each other
    wait: float = 60.0  # seconds that a request may wait for something to happen
    streams: int = 2_000  # open at the same time
    page: int = 1_000  # runs on one page of a list


class Services:
    """`queues` says how many tasks of each executor type wait for a worker. `report` draws one run as a
    page of its own; without it there is none."""

    def __init__(
        self,
        control: Control,
        *,
        clock: Clock,
        feed: Feed,
        access: Access,
        errors: ErrorSink,
        offload: Offload,
        epoch: str,
        queues: Callable[[], Mapping[str, int]] = dict,
        queries: Queries | None = None,
        report: Report | None = None,
        limits: Limits | None = None,
        hosts: Sequence[str] = (),
        version: str = "",
    ) -> None:
        from .bulk import Bulk

        self.control = control
        self.clock = clock
        self.feed = feed
        self.access = access
        self.errors = errors
        self.offload = offload
        self.epoch = epoch
        self.queues = queues
        self.queries = queries
        self.report = report
        self.limits = limits or Limits()
        self.hosts = frozenset(host.lower() for host in hosts)
        self.version = version
        self.streams = 0
        self.draining = asyncio.Event()
        self.bulk: Bulk = Bulk(control, clock, errors)
