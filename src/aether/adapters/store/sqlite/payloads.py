"""Payloads in SQLite: each once, with the numbers of the runs that brought it.

In: payloads of commits. Out: rows. Never: a delete of more than a few megabytes at a time. What a
deleted run brought is found by a trigger, whoever deletes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from ....ports import Payload
from .sql import statements

_MOST = 8 << 20
"""Bytes deleted in one transaction, or one payload: others wait for it as for a commit."""

_SQL = statements("payloads")


class PayloadWriter:
    """On the writer's connection, inside its transactions."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def bring(self, run: int, payloads: Iterable[Payload]) -> None:
        for payload in payloads:
            self._db.execute(_SQL["add_payload"], (payload.digest, payload.data))
            self._db.execute(_SQL["use_payload"], (run, payload.digest))

    def collect(self, limit: int) -> int:
        size = looked = 0
        found: list[Any] = self._db.execute(_SQL["loose_payloads"], (limit,)).fetchall()
        for number, length, used in found:
            if looked and size + length > _MOST:
                break
            looked += 1
            if not used:
                size += length
                self._db.execute(_SQL["delete_payload"], (number,))
            self._db.execute(_SQL["not_loose"], (number,))
        return looked
