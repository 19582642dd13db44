"""SqliteStore: the Store port over the parts of this room.

In: calls of one event loop. Out: answers. Never: a blocked loop, save for a commit or a read that is
quicker than leaving it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import StoreUnavailable
from ....ports import Clock, Commit, CommitOutcome, DueRun, LogEntry, Page, RunQuery
from ....record import CronRow, RunRow, RunRows, SchemaRow, TemplateRow, Token
from ...clock import SystemClock
from .cluster import Sharing

if TYPE_CHECKING:
    from .parts import Parts


class SqliteStore(Sharing):
    """Runs in one SQLite file, which one engine at a time may write.

    `durability` "full" means that what was acknowledged is on disk; "normal" may lose the last commits
    when the power fails, but not when the process does. `keeps_log` False drops the action log. With
    `read_only` it opens beside a running engine, and refuses every change but `post`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "full",
        keeps_log: bool = True,
        read_only: bool = False,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self._path = Path(path)
        self._durability = durability
        self._keeps_log = keeps_log
        self._read_only = read_only
        self._clock = clock or SystemClock()
        self._open: Parts | None = None

    @property
    def concurrency(self) -> int:
        return 1

    @property
    def keeps_log(self) -> bool:
        return self._keeps_log

    @property
    def path(self) -> Path:
        return self._path

    # Life

    async def open(self) -> None:
        """Raises Refused: `store-locked`, `store-newer`, `store-corrupt`, `store-foreign` and such."""
        if self._open is None:
            from .parts import open_parts  # loads the driver, which others need not have

            self._open = await open_parts(
                self._path,
                durability=self._durability,
                keeps_log=self._keeps_log,
                read_only=self._read_only,
                now=self._clock.now(),
            )

    async def close(self) -> None:
        if self._open is not None:
            parts, self._open = self._open, None
            await parts.close()

    def _parts(self) -> Parts:
        if self._open is None:
            raise StoreUnavailable(f"{self._path} is not open")
        return self._open

    # Runs

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        return await self._parts().commit(batch) if batch else []

    async def delete(self, run_id: str) -> bool:
        return await self._parts().change(lambda changes: changes.writer.delete_run(run_id))

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        parts = self._parts()
        if len(run_ids) > 8:
            return await parts.slowly(lambda reader: [reader.load(each) for each in run_ids])
        return [await parts.load(run_id) for run_id in run_ids]

    async def run(self, run_id: str) -> RunRow | None:
        return self._parts().near.run(run_id)

    async def document(self, digest: bytes) -> bytes | None:
        return self._parts().near.document(digest)

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        return await self._parts().slowly(lambda reader: reader.unfinished(after, limit))

    async def runs(self, query: RunQuery) -> Page:
        return await self._parts().slowly(lambda reader: reader.runs(query))

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        if not self._keeps_log:
            return []
        return await self._parts().slowly(lambda reader: reader.history(run_id, after_seq, limit))

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]:
        return await self._parts().slowly(lambda reader: reader.forks(roots))

    # Payloads

    @property
    def keeps_payloads(self) -> bool:
        return True

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return await self._parts().slowly(lambda reader: reader.payloads(digests))

    async def collect(self, limit: int = 100) -> int:
        return await self._parts().change(lambda changes: changes.writer.payloads.collect(limit))

    # Crons, templates, schemas

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        return await self._parts().change(
            lambda changes: changes.definitions.put_cron(row, expected)
        )

    async def cron(self, cron_id: str) -> CronRow | None:
        return self._parts().near.cron(cron_id)

    async def crons(self) -> Sequence[CronRow]:
        return await self._parts().slowly(lambda reader: reader.crons())

    async def delete_cron(self, cron_id: str) -> bool:
        return await self._parts().change(lambda changes: changes.definitions.delete_cron(cron_id))

    async def put_template(self, row: TemplateRow) -> None:
        await self._parts().change(lambda changes: changes.definitions.put_template(row))

    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        return self._parts().near.template(name, version)

    async def templates(self, name: str = "") -> Sequence[TemplateRow]:
        return await self._parts().slowly(lambda reader: reader.templates(name))

    async def delete_template(self, name: str, version: str) -> bool:
        return await self._parts().change(
            lambda changes: changes.definitions.delete_template(name, version)
        )

    async def put_schema(self, row: SchemaRow) -> None:
        await self._parts().change(lambda changes: changes.definitions.put_schema(row))

    async def schemas(self) -> Sequence[SchemaRow]:
        return await self._parts().slowly(lambda reader: reader.schemas())

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        return await self._parts().change(
            lambda changes: changes.definitions.delete_schemas(executor_type, worker_id)
        )
