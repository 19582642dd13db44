"""Payloads in memory: each once, with the runs that brought it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ....ports import Payload


class KeptPayloads:
    """The part of a MemoryStore that keeps payloads."""

    def __init__(self) -> None:
        self._payloads: dict[bytes, bytes] = {}
        self._brought: dict[str, set[bytes]] = {}  # by run
        self._bringers: dict[bytes, set[str]] = {}
        self._loose: dict[bytes, None] = {}  # somebody who brought it was deleted

    @property
    def keeps_payloads(self) -> bool:
        return True

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        kept = self._payloads
        return {digest: kept[digest] for digest in digests if digest in kept}

    async def collect(self, limit: int = 100) -> int:
        looked = list(self._loose)[:limit]
        for digest in looked:
            del self._loose[digest]
            if not self._bringers.get(digest):
                self._bringers.pop(digest, None)
                del self._payloads[digest]
        return len(looked)

    def _bring(self, run_id: str, payloads: Iterable[Payload]) -> None:
        brought = self._brought.setdefault(run_id, set())
        for payload in payloads:
            self._payloads.setdefault(payload.digest, payload.data)
            self._bringers.setdefault(payload.digest, set()).add(run_id)
            brought.add(payload.digest)

    def _inherit(self, run_id: str, heir: str) -> None:
        """What the one brought the other has brought too."""
        for digest in self._brought.get(run_id, ()):
            self._bringers[digest].add(heir)
            self._brought.setdefault(heir, set()).add(digest)

    def _let_go(self, run_id: str) -> None:
        for digest in self._brought.pop(run_id, ()):
            self._bringers[digest].discard(run_id)
            self._loose[digest] = None
