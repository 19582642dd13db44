"""What a store does for runs that come from other runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..record import RunRow


class Forks(Protocol):
    """The part of a Store that knows where runs come from.

    A commit that creates a run with `shares` gives it a log that begins with that of its `origin`:
    `history` shows the entries up to `origin.seq`, those that the origin shares itself among them, as the
    new run's own, though they are kept once. Refusal answers it if the run names no origin, one that does
    not exist, or one of another document; callers see to it that the origin's log reaches so far and that
    the new run's own entries have higher numbers. Where `keeps_log` is False `shares` means nothing.

    What others share outlives the run that wrote it: a deleted run leaves the shared entries behind, with
    the payloads that it brought, until the last of those that share them is deleted. Nobody else sees them,
    not under the id of a run that is created anew either.

    `forks` lists the runs whose `origin.root` is one of `roots`, by (`created_at`, run id), oldest first,
    as `runs` does: no payload is decoded.
    """

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]: ...
