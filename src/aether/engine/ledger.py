"""Writes the action log: one sealed entry for each decision, its hash in the run's row."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import blake2b

from ..plan import AnyState
from ..ports import Chance, LogEntry
from ..record import Change, RunPatch, RunRow, seal


class Ledger:
    """Without `chance` salts follow from the entry before: the chain holds as well, but erased values
    that are short could be guessed. With `key` the head of each run is signed."""

    def __init__(self, chance: Chance | None, key: bytes | None) -> None:
        self._chance = chance
        self._key = key

    def entry(self, state: AnyState, changes: Sequence[Change], run: RunRow | RunPatch) -> LogEntry:
        """The entry of a decision; `run` is its row or patch, which is to carry the new head."""
        row = state.run
        salt = self._salt(row.run_id, row.head)
        sealed = seal(row.head, row.seq, state.now, changes, salt)
        row.head = run.head = sealed.head
        if self._key is not None:
            row.signature = run.signature = sign(self._key, row.run_id, row.seq, sealed.head)
        return LogEntry(row.seq, state.now, sealed.body)

    def _salt(self, run_id: str, head: bytes) -> bytes:
        if self._chance is not None:
            return self._chance.token(16)
        return blake2b(head, digest_size=16, key=run_id.encode()[:64]).digest()


def sign(key: bytes, run_id: str, seq: int, head: bytes) -> bytes:
    """What proves, to whoever has the key, that an engine with the key wrote this head."""
    text = b"\x00".join((run_id.encode(), str(seq).encode(), head))
    return hmac.digest(key, text, "sha256")
