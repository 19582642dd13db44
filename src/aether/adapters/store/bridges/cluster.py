"""Sessions, claims and inboxes of a store on record calls, which one engine at a time uses.

In: sessions, claims, messages. Out: answers. Never: anything written but a run's token: the rest lasts as
long as the object, and the next engine claims everything anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ....errors import NotFound, TokenMismatch
from ....ports import (
    Claim,
    Commit,
    DueRun,
    Message,
    Posted,
    Records,
    RunRecord,
    RunRecordPatch,
    Session,
    SessionAnswer,
)
from ....record import RunRow, Token
from ...sessions import Hints, Inboxes, Sessions
from .shapes import run_row


class SharingOverRecords:
    _records: Records
    _lock: asyncio.Lock

    def __init__(self) -> None:
        self._last_number = 0
        self._sessions = Sessions(self._next_number, shared=False)
        self._inboxes = Inboxes()
        self._hints = Hints()
        self._claims: dict[str, int] = {}

    @property
    def shared(self) -> bool:
        return False

    @property
    def poll(self) -> int:
        return 0

    async def _is_unfinished(self, record: RunRecord) -> bool:
        raise NotImplementedError

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _holder(self, record: RunRow) -> int:
        return self._claims.get(record.run_id, record.owner)

    def _row(self, record: RunRecord) -> RunRow:
        row = run_row(record)
        row.claimed = self._claims.get(row.run_id, 0)
        return row

    def _took(self, commit: Commit) -> None:
        if isinstance(commit.run.owner, int):
            self._claims.pop(commit.run_id, None)
        self._inboxes.consume(commit.run_id, commit.consumed)

    def _gone(self, run_id: str) -> None:
        self._claims.pop(run_id, None)
        self._inboxes.delete(run_id)

    # Sessions

    async def session(self, session: Session) -> SessionAnswer:
        if not session.number:  # none is written down, but as an owner: the next is beyond them all
            active = await self._records.list_runs()
            self._last_number = max([self._last_number, *(run.owner for run in active)])
        return self._sessions.renew(session)

    async def end_session(self, number: int) -> None:
        self._sessions.end(number)

    # Ownership

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        if not self._sessions.end_others(session):
            return [Claim.LOST] * len(run_ids)
        async with self._lock:
            return [await self._claim(run_id, session) for run_id in run_ids]

    async def _claim(self, run_id: str, session: int) -> Claim:
        while True:
            try:
                record = await self._records.get_run(run_id)
                if not await self._is_unfinished(record):
                    return Claim.OVER
                holder = self._holder(record)
                if holder == session:
                    return Claim.MINE
                if self._sessions.stands(holder):
                    return Claim.HELD
                record = await self._records.get_run(run_id)
                await self._records.update_run(run_id, RunRecordPatch(), record.token)
            except NotFound:
                return Claim.UNKNOWN
            except TokenMismatch:
                continue
            self._claims[run_id] = session
            return Claim.TAKEN

    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        self._sessions.end_others(session)
        found: list[DueRun] = []
        async with self._lock:
            for record in await self._records.list_active_runs():
                holder = self._holder(record)
                if holder == session or self._sessions.stands(holder):
                    continue
                if await self._is_unfinished(record):
                    found.append(DueRun(record.run_id, record.due_at, holder))
        found.sort(key=_place)
        return [run for run in found if after is None or _place(run) > _place(after)][:limit]

    async def tokens(self, run_ids: Sequence[str]) -> Sequence[Token | None]:
        found: list[Token | None] = []
        for run_id in run_ids:
            try:
                found.append((await self._records.get_run(run_id)).token)
            except NotFound:
                found.append(None)
        return found

    # Inboxes

    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        async with self._lock:
            return [await self._post(message) for message in messages]

    async def _post(self, message: Message) -> Posted:
        try:
            record = await self._records.get_run(message.run_id)
        except NotFound:
            return Posted.UNKNOWN
        if self._inboxes.has(message):
            return Posted.ACCEPTED
        if not await self._is_unfinished(record):
            return Posted.OVER
        self._inboxes.add(message)
        return Posted.ACCEPTED

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Message]:
        found: list[Message] = []
        for message in list(self._inboxes.waiting()):
            if len(found) >= limit:
                break
            try:
                record = await self._records.get_run(message.run_id)
            except NotFound:
                continue
            if self._holder(record) == session:
                found.append(message)
        return found

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        return self._inboxes.answers(run_id, keys)

    # Hints

    def tell(self, words: Sequence[str]) -> None:
        self._hints.tell(words)

    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        return self._hints.listen(heard)


def _place(run: DueRun) -> tuple[int, str]:
    return run.owner, run.run_id
