"""How engines share a MemoryStore: sessions, ownership, inboxes.

In: sessions, claims, messages. Out: answers. Never: awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ....ports import Claim, Clock, DueRun, Message, Posted, Session, SessionAnswer
from ....record import RunRow, Token
from ...sessions import Hints, Inboxes, Sessions
from .order import SortedKeys


class _HasRow(Protocol):
    is_open: bool

    @property
    def row(self) -> RunRow: ...


class Sharing:
    """The part of a MemoryStore that `ports.Cluster` describes. `_open` holds the ids of unfinished runs
    by the session that holds them."""

    _last_token: Token
    _runs: dict[str, _HasRow]

    def __init__(self, shared: bool, clock: Clock | None) -> None:
        self._shared = shared
        self._open: dict[int, SortedKeys[str]] = {}
        time = None if clock is None else clock.now
        self._sessions = Sessions(self._next_number, shared, time)
        self._inboxes = Inboxes()
        self._hints = Hints()

    @property
    def shared(self) -> bool:
        return self._shared

    @property
    def poll(self) -> int:
        return 0

    def _next_number(self) -> int:
        self._last_token += 1
        return self._last_token

    # Which runs are open, and whose

    def _set_open(self, run_id: str, holder: int, is_open: bool) -> None:
        if is_open:
            keys = self._open.get(holder)
            if keys is None:
                keys = self._open[holder] = SortedKeys()
            keys.add(run_id)
        else:
            self._not_open(run_id, holder)

    def _not_open(self, run_id: str, holder: int) -> None:
        keys = self._open.get(holder)
        if keys is not None:
            keys.discard(run_id)
            if not keys:
                del self._open[holder]

    def _is_open(self, run_id: str) -> bool:
        return self._runs[run_id].is_open

    # Sessions

    async def session(self, session: Session) -> SessionAnswer:
        return self._sessions.renew(session)

    async def end_session(self, number: int) -> None:
        self._sessions.end(number)

    # Ownership

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        stands = self._sessions.end_others(session)
        return [self._claim(run_id, session) if stands else Claim.LOST for run_id in run_ids]

    def _claim(self, run_id: str, session: int) -> Claim:
        run = self._runs.get(run_id)
        if run is None:
            return Claim.UNKNOWN
        row = run.row
        holder = row.held_by
        if not self._is_open(run_id):
            return Claim.OVER
        if holder == session:
            return Claim.MINE
        if self._sessions.stands(holder):
            return Claim.HELD
        self._not_open(run_id, holder)
        row.claimed = session
        row.token = self._next_number()
        self._set_open(run_id, session, True)
        return Claim.TAKEN

    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        self._sessions.end_others(session)
        found: list[DueRun] = []
        for owner in sorted(self._open):
            if owner == session or self._sessions.stands(owner):
                continue
            if after is not None and owner < after.owner:
                continue
            behind = after.run_id if after is not None and owner == after.owner else None
            for run_id in self._open[owner].behind(behind):
                if len(found) >= limit:
                    return found
                found.append(DueRun(run_id, self._runs[run_id].row.due_at, owner))
        return found

    async def tokens(self, run_ids: Sequence[str]) -> Sequence[Token | None]:
        runs = (self._runs.get(run_id) for run_id in run_ids)
        return [None if run is None else run.row.token for run in runs]

    # Inboxes

    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        return [self._post(message) for message in messages]

    def _post(self, message: Message) -> Posted:
        if message.run_id not in self._runs:
            return Posted.UNKNOWN
        if self._inboxes.has(message):
            return Posted.ACCEPTED
        if not self._is_open(message.run_id):
            return Posted.OVER
        self._inboxes.add(message)
        return Posted.ACCEPTED

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Message]:
        found = [
            message
            for message in self._inboxes.waiting()
            if self._runs[message.run_id].row.held_by == session
        ]
        return found[:limit]

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        return self._inboxes.answers(run_id, keys)

    # Hints

    def tell(self, words: Sequence[str]) -> None:
        self._hints.tell(words)

    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        return self._hints.listen(heard)
