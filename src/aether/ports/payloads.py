"""What a store does for values that are too large for a row: it keeps them once, beside the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Payload(msgspec.Struct, frozen=True, gc=False):
    """A large value as it is kept. `data` is opaque to a store; `digest` names it, and never names two
    values."""

    digest: bytes
    data: bytes


class Payloads(Protocol):
    """The part of a Store that keeps payloads, each once for all runs that bring it.

    What a commit brings in `payloads` is kept in the same transaction, by its digest: a commit that is
    not carried out brings nothing. The same digest may come again, in the same commit, the same run or
    any other; what is kept then stays as it is. It is kept as long as one of the runs that brought it
    exists, whatever their rows say.

    `payloads` answers those of the asked that are kept, by digest, in any number. `collect` deletes
    payloads of which no run exists any more: it looks at no more than `limit`, writes nothing that the
    commits of others would have to wait for longer than for a commit, and answers at how many it looked;
    0 says that none is left. Until then they may be there or gone; one that a new run brings
    meanwhile stays.

    A store whose `keeps_payloads` is False keeps none: `payloads` answers nothing, `collect` 0, and
    callers bring it none, but leave every value in its row.
    """

    @property
    def keeps_payloads(self) -> bool: ...

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]: ...

    async def collect(self, limit: int = 100) -> int: ...
