"""How processes share a PostgreSQL store: the server's clock, its rows, its notifications.

In: sessions, claims, messages. Out: answers. Never: a verdict of our own: who stands is for the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ....ports import Claim, DueRun, Message, Posted, Session, SessionAnswer
from ....record import Token
from .connections import BadValue, Connections
from .definitions import refuse
from .hints import Hints
from .sql import statements

POLL = 1_000_000
"""Microseconds between two looks for what a lost notification would have told."""


class Sharing:
    """The part of a PostgresStore that `ports.Cluster` describes."""

    _connections: Connections
    _hints: Hints

    @property
    def shared(self) -> bool:
        return True

    @property
    def poll(self) -> int:
        return POLL

    async def _ask_cluster(self, statement: str, *values: Any) -> Sequence[Any]:
        try:
            return await self._connections.ask(statements("cluster")[statement], *values)
        except BadValue as error:
            refuse(error)

    async def _write_cluster(self, statement: str, *values: Any) -> Any:
        try:
            return await self._connections.write(statements("cluster")[statement], *values)
        except BadValue as error:
            refuse(error)

    async def session(self, session: Session) -> SessionAnswer:
        if session.number:
            told = await self._write_cluster("renew_session", session.number, session.lease)
        else:
            told = await self._write_cluster("new_session", session.name, session.lease)
        if told is None:
            now = (await self._ask_cluster("time"))[0][0]
            return SessionAnswer(session.number, now, stands=False)
        number, now = told
        return SessionAnswer(number, now)

    async def end_session(self, number: int) -> None:
        await self._write_cluster("end_session", number)

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        if not run_ids:
            return []
        answers = await self._write_cluster("claim", list(run_ids), session)
        return [Claim(answer) for answer in answers]

    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        await self._write_cluster("end_others", session)
        owner, run_id = (0, "") if after is None else (after.owner, after.run_id)
        rows = await self._ask_cluster("orphans", session, owner, run_id, limit)
        return [DueRun(*row) for row in rows]

    async def tokens(self, run_ids: Sequence[str]) -> Sequence[Token | None]:
        found = {row[0]: row[1] for row in await self._ask_cluster("tokens", list(run_ids))}
        return [found.get(run_id) for run_id in run_ids]

    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        if not messages:
            return []
        answers = await self._write_cluster(
            "post",
            [message.run_id for message in messages],
            [message.key for message in messages],
            [message.body for message in messages],
            [message.at for message in messages],
        )
        return [Posted(answer) for answer in answers]

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Message]:
        return [
            Message(run_id=run_id, key=key, body=body, at=at)
            for run_id, key, body, at in await self._ask_cluster("inbox", session, limit)
        ]

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        rows = await self._ask_cluster("answers", run_id, list(keys))
        found: dict[str, bytes | None] = {row[0]: row[1] for row in rows}
        return [found.get(key) for key in keys]

    def tell(self, words: Sequence[str]) -> None:
        self._hints.tell(words)

    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        return await self._hints.listen(heard)
