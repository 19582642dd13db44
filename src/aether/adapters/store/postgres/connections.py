"""Connections to one server: opened when needed, thrown away when in doubt, replaced by new ones.

In: statements. Out: rows, and the driver's errors as ours. Never: a statement sent twice, except a
question on a connection that turned out to be dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from ....errors import CommitUnknown, Problem, Refused, StoreUnavailable

# The tables change by the thousand while plans stay cached: every access goes through an index, also
# where the table was empty when its plan was made.
_SETTINGS = {
    "application_name": "aether",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
_OURS = ("22", "23", "54")  # classes of errors that lie in the values: trying again gives the same
_ONLY_READS = "25006"
_ACCESS = ("28", "3D", "42")  # and those that lie in the account, the database or its rights


class Connection(Protocol):
    """What we use of the driver's connection, which carries no types of its own."""

    async def execute(self, statement: str, *values: Any) -> str: ...

    async def fetch(self, statement: str, *values: Any) -> Sequence[Any]: ...

    async def fetchrow(self, statement: str, *values: Any) -> Any: ...

    async def fetchval(self, statement: str, *values: Any) -> Any: ...

    def transaction(self, *, isolation: str | None = None) -> AbstractAsyncContextManager[Any]: ...

    def cursor(self, statement: str, *values: Any, prefetch: int) -> AsyncIterator[Any]: ...

    def is_closed(self) -> bool: ...

    def terminate(self) -> None: ...

    async def close(self, *, timeout: float | None = None) -> None: ...


def driver() -> Any:
    """asyncpg, or a Problem `extra-missing`."""
    try:
        import asyncpg
    except ImportError as exc:
        raise Refused(
            Problem(
                "extra-missing",
                "a PostgreSQL store needs asyncpg, which is not installed",
                fix="pip install aether-workflows[postgres]",
            )
        ) from exc
    return asyncpg


class BadValue(Exception):
    """The server cannot keep a value of this statement, ever; nothing was written."""


def shown(dsn: str) -> str:
    """The address without user, password and options: it goes into messages."""
    try:
        parts = urlsplit(dsn)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the PostgreSQL server"
    return f"postgresql://{parts.hostname or ''}{port}{parts.path}"


class Connections:
    """At most `size` at a time; the one used last is used next."""

    def __init__(
        self, dsn: str, schema: str, size: int, patience: float, *, read_only: bool = False
    ) -> None:
        self.where = shown(dsn)
        self._settings = _SETTINGS | {"search_path": f'"{schema}"'}
        if read_only:  # it is for the server to refuse whatever would write
            self._settings["default_transaction_read_only"] = "on"
        self.size = size
        self._dsn = dsn
        self._patience = patience
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def close(self) -> None:
        """Waits for statements that are under way."""
        for _ in range(self.size):
            await self._free.acquire()
        idle, self._idle = self._idle, []
        for connection in idle:
            try:
                await connection.close(timeout=self._patience)
            except (OSError, TimeoutError, driver().PostgresError, driver().InterfaceError):
                connection.terminate()
        for _ in range(self.size):
            self._free.release()

    async def _connected(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        pg = driver()
        try:
            opened: Connection = await pg.connect(
                self._dsn,
                timeout=self._patience,
                command_timeout=self._patience,
                server_settings=self._settings,
            )
            return opened
        except pg.PostgresError as exc:
            if (exc.sqlstate or "")[:2] in _ACCESS:
                raise Refused(
                    Problem(
                        "store-refused",
                        f"{self.where} lets nobody in: {exc}",
                        fix="check user, password and database name of the URL",
                    )
                ) from exc
            raise StoreUnavailable(f"{self.where} does not answer: {exc}") from exc
        except (pg.InterfaceError, ValueError) as exc:
            raise Refused(
                Problem(
                    "bad-store-url",
                    f"{self.where} cannot be connected to: {exc}",
                    fix="write postgresql://user:password@host:5432/database",
                )
            ) from exc
        except (OSError, TimeoutError) as exc:
            why = str(exc) or type(exc).__name__
            raise StoreUnavailable(f"{self.where} does not answer: {why}") from exc

    async def dedicated(self) -> Connection:
        """One beside the others, for whoever keeps it. The caller ends it."""
        return await self._connected()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """A connection for one statement or transaction. It is not used again if that went wrong in any
        way but an answer of the server."""
        await self._free.acquire()
        try:
            connection = await self._connected()
            try:
                yield connection
            except driver().PostgresError:
                self._put_back(connection)
                raise
            except BaseException:
                connection.terminate()
                raise
            self._put_back(connection)
        finally:
            self._free.release()

    def _put_back(self, connection: Connection) -> None:
        if not connection.is_closed():
            self._idle.append(connection)

    async def ask(self, statement: str, *values: Any) -> Sequence[Any]:
        """Rows of a question, which may be asked twice: a connection that idled while the server was
        started anew is only found dead by using it. Raises StoreUnavailable, BadValue."""
        try:
            return await self._fetch(statement, values)
        except _Lost:
            pass
        self._drop_idle()
        try:
            return await self._fetch(statement, values)
        except _Lost as exc:
            raise StoreUnavailable(f"{self.where}: {exc}") from exc

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.terminate()

    async def _fetch(self, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        pg = driver()
        try:
            async with self.use() as connection:
                return await connection.fetch(statement, *values)
        except pg.PostgresError as exc:
            if is_lost(exc):
                raise _Lost(str(exc)) from exc
            raise self.answered(exc) from exc
        except pg.DataError as exc:
            raise BadValue(str(exc)) from exc
        except (pg.InterfaceError, pg.InternalClientError, OSError, TimeoutError) as exc:
            raise _Lost(str(exc) or type(exc).__name__) from exc

    async def write(self, statement: str, *values: Any) -> Any:
        """The one value that a writing statement gives, which is a transaction by itself. Raises
        StoreUnavailable if nothing was written, CommitUnknown if that cannot be told, BadValue."""
        pg = driver()
        try:
            async with self.use() as connection:
                if connection.is_closed():
                    raise StoreUnavailable(f"{self.where}: the connection was closed")
                return await connection.fetchval(statement, *values)
        except pg.PostgresError as exc:
            if is_lost(exc):
                raise CommitUnknown(f"{self.where} went away during a commit: {exc}") from exc
            raise self.answered(exc) from exc
        except pg.DataError as exc:
            raise BadValue(str(exc)) from exc
        except pg.InterfaceError as exc:  # the driver's own objection, before anything is sent
            raise StoreUnavailable(f"{self.where}: {exc}") from exc
        except (pg.InternalClientError, OSError, TimeoutError) as exc:
            # The driver loses count of itself when the server closes in the middle of its words.
            why = str(exc) or "no answer in time"
            raise CommitUnknown(f"{self.where} went away during a commit: {why}") from exc

    def answered(self, exc: Any) -> Exception:
        """An error that the server gave as its answer: the transaction was taken back."""
        state = exc.sqlstate or ""
        if state[:2] in _OURS:
            return BadValue(str(exc))
        if state == _ONLY_READS:
            what = f"{self.where} is open to read only"
            fix = "send the change to an engine that works on it"
            return Refused(Problem("store-read-only", what, fix=fix))
        if state[:2] in _ACCESS and state != "42P01":
            return Refused(
                Problem(
                    "store-refused",
                    f"{self.where} does not allow it: {exc}",
                    fix="give the account of the URL all rights on the schema of the store",
                )
            )
        return StoreUnavailable(f"{self.where}: {exc}")


class _Lost(Exception):
    """The connection ended, or no answer came in time."""


def is_lost(exc: Any) -> bool:
    """Whether this error ended the connection. A server that is told to stop says so (57P) even to a
    client whose commit it has just carried out."""
    state: str = exc.sqlstate or ""
    return state.startswith(("08", "57P")) or state == ""
