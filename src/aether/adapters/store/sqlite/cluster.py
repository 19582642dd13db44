"""What an SQLite store does for several engines: one of them owns it, and others may post.

In: sessions, claims, messages. Out: answers. Never: a session of an earlier engine that still stands: the
file's lock says that it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ....ports import Claim, DueRun, Message, Posted, Session, SessionAnswer
from ....record import Token
from ...sessions import Hints, Sessions

if TYPE_CHECKING:
    from pathlib import Path

    from .parts import Parts

POLL = 500_000
"""Microseconds between two looks at what other processes posted: a question of some microseconds."""


class Sharing:
    """The part of an SqliteStore that `ports.Cluster` describes. Sessions need not be on disk: those of
    an earlier opening are over."""

    _path: Path
    _parts: Callable[[], Parts]
    _read_only: bool

    def __init__(self) -> None:
        self._last_number = 0
        self._sessions = Sessions(lambda: self._last_number, shared=False)
        self._hints = Hints()

    @property
    def shared(self) -> bool:
        return False

    @property
    def poll(self) -> int:
        return POLL

    async def session(self, session: Session) -> SessionAnswer:
        if not session.number:
            self._last_number = await self._parts().change(lambda each: each.writer.next_token())
        return self._sessions.renew(session)

    async def end_session(self, number: int) -> None:
        self._sessions.end(number)

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        if not self._sessions.end_others(session):
            return [Claim.LOST] * len(run_ids)
        stands = self._sessions.stands
        return await self._parts().change(lambda changes: changes.claim(run_ids, session, stands))

    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        self._sessions.end_others(session)

        def is_gone(owner: int) -> bool:
            return owner != session and not self._sessions.stands(owner)

        return await self._parts().slowly(lambda reader: reader.held_runs(is_gone, after, limit))

    async def tokens(self, run_ids: Sequence[str]) -> Sequence[Token | None]:
        return self._parts().near.tokens(run_ids)

    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        parts = self._parts()
        if self._read_only:
            from .inbox import post_beside

            return await parts.aside(lambda: post_beside(self._path, messages))
        return await parts.change(lambda changes: changes.post(messages))

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Message]:
        return await self._parts().ask(lambda changes: changes.inbox.waiting(session, limit))

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        return self._parts().near.answers(run_id, keys)

    def tell(self, words: Sequence[str]) -> None:
        self._hints.tell(words)

    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        return self._hints.listen(heard)
