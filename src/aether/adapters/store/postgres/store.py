"""PostgresStore: rows in a schema of a PostgreSQL database, shared with any number of other processes.

In: commits and queries of one event loop. Out: copies. Never: a lock that outlives its statement; what
guards a run is its token, compared by the server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....errors import InvalidState, Problem, Refused, StoreUnavailable
from ....ports import Commit, CommitOutcome
from .cluster import Sharing
from .connections import BadValue, Connections, driver, is_lost
from .database import expect_current
from .definitions import Definitions, refuse
from .hints import Hints
from .migrate import check_server, migrate
from .reading import Reading
from .sql import statements
from .writing import Writing

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,47}")
CONCURRENCY = 2  # one batch is on its way to disk while the next is being carried out


class PostgresStore(Reading, Definitions, Sharing):
    """`dsn` is `postgresql://user:password@host:5432/database`. Processes that name the same database
    and `schema` share everything. It keeps the log unless `history` is False.

    A server that may lose what it acknowledged is refused unless `unsafe`. `connections` is how many
    there are at most, `patience` how many seconds a statement may take before its connection counts as
    lost. The schema is created and migrated when the store opens, but not with `read_only`, which asks
    for one that is up to date, opens beside running engines or on a standby, and refuses every change.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "aether",
        history: bool = True,
        unsafe: bool = False,
        read_only: bool = False,
        connections: int = 6,
        patience: float = 30.0,
    ) -> None:
        if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
            raise Refused(
                Problem(
                    "bad-schema-name",
                    f"'{schema}' is no name for the schema of a store",
                    fix="use up to 48 small letters, digits and underscores, beginning with a letter",
                )
            )
        if connections <= CONCURRENCY:
            raise Refused(
                Problem(
                    "too-few-connections",
                    f"{connections} connections leave none for reading",
                    fix=f"allow at least {CONCURRENCY + 1}",
                )
            )
        super().__init__()
        self._schema = schema
        self._history = history
        self._unsafe = unsafe
        self._read_only = read_only
        self._writers = Connections(dsn, schema, CONCURRENCY, patience, read_only=read_only)
        self._connections = Connections(
            dsn, schema, connections - CONCURRENCY, patience, read_only=read_only
        )
        self._writing = Writing(self._writers, history)
        self._hints = Hints(self._connections, schema)
        self._opened = False

    @property
    def concurrency(self) -> int:
        return CONCURRENCY

    @property
    def keeps_log(self) -> bool:
        return self._history

    async def open(self) -> None:
        if self._opened:
            return
        try:
            await self._prepare()
        except BaseException:
            await self._writers.close()
            raise
        self._writing.forget()
        self._opened = True

    async def _prepare(self) -> None:
        pg, writers = driver(), self._writers
        try:
            async with writers.use() as connection:
                if self._read_only:
                    await expect_current(connection, self._schema, writers.where)
                    return
                await check_server(connection, writers.where, self._unsafe)
                await migrate(connection, self._schema, writers.where)
        except pg.PostgresError as exc:
            if is_lost(exc):
                raise StoreUnavailable(f"{writers.where}: {exc}") from exc
            raise writers.answered(exc) from exc
        except (pg.InterfaceError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(f"{writers.where}: {exc}") from exc

    async def close(self) -> None:
        if self._opened:
            self._opened = False
            await self._hints.close()
            await self._writers.close()
            await self._connections.close()

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        self._must_be_open()
        return await self._writing.commit(batch)

    async def delete(self, run_id: str) -> bool:
        self._must_be_open()
        self._writing.forget(run_id)
        try:
            gone = await self._connections.write(statements("commits")["delete_run"], run_id)
        except BadValue as error:
            refuse(error)
        return bool(gone)

    @property
    def keeps_payloads(self) -> bool:
        return True

    async def collect(self, limit: int = 100) -> int:
        self._must_be_open()
        statement = statements("commits")["collect_payloads"]
        return int(await self._connections.write(statement, limit))

    def _must_be_open(self) -> None:
        if not self._opened:
            raise InvalidState(
                Problem("not-open", "the store is not open", fix="call `open` first")
            )
