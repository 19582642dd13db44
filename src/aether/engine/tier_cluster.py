"""Sessions, ownership and inboxes of runs whose newest rows may be in memory.

In: what `ports.Cluster` describes. Out: the durable store's answers, and for runs that memory holds its own.
Never: a run of tier `snapshot` held for a session that is over: the disk has what counts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ports import Claim, DueRun, Message, Posted, Session, SessionAnswer, Store
from ..record import Token
from .snapshots import Snapshots
from .unsaved import Held


class SharedTiers:
    """What `Tiers` is for several engines; `Tiers` sets these members."""

    _durable: Store
    _volatile: Store
    _snapshots: Snapshots
    _held: dict[str, Held]

    def __init__(self) -> None:
        self._session = 0
        self._strays: dict[str, int] = {}  # runs of tier `memory` whose session was lost, and that

    @property
    def shared(self) -> bool:
        return self._durable.shared

    @property
    def poll(self) -> int:
        return self._durable.poll

    # Sessions

    async def session(self, session: Session) -> SessionAnswer:
        answer = await self._durable.session(session)
        if not session.number and answer.number != self._session:
            await self._disown(answer.number)
        return answer

    async def _disown(self, number: int) -> None:
        """What memory holds was held for the session before. Only we know of runs of tier `memory`: they
        go on."""
        before, self._session = self._session, number
        for held in list(self._held.values()):
            if held.saved is None:
                self._strays[held.run_id] = before
            else:
                await self._snapshots.release(held)

    async def end_session(self, number: int) -> None:
        await self._durable.end_session(number)

    # Ownership

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        for run_id in run_ids:
            await self._look_whose(run_id, session)
        far = [run_id for run_id in run_ids if run_id not in self._held]
        answers = iter(await self._durable.claim(far, session) if far else ())
        strangers = set(far)
        found: list[Claim] = []
        for run_id in run_ids:
            if run_id in strangers:
                found.append(next(answers))
            else:
                found.append(self._claim_near(run_id, session))
        return found

    async def _look_whose(self, run_id: str, session: int) -> None:
        """A run that was being made while the session was lost is in memory for the session before."""
        held = self._held.get(run_id)
        if held is None or not held.held_by or session != self._session:
            return
        if session in (held.claimed, held.held_by):
            return
        if held.saved is None:
            self._strays.setdefault(run_id, held.held_by)
        else:
            await self._snapshots.release(held)

    def _claim_near(self, run_id: str, session: int) -> Claim:
        """What memory holds is ours, but the next decision must know if it was another session's."""
        if session != self._session:
            return Claim.LOST
        if self._strays.pop(run_id, None) is None:
            return Claim.MINE
        self._held[run_id].claimed = session
        return Claim.TAKEN

    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        if self._strays:
            near = [
                DueRun(run_id, None, owner)
                for run_id, owner in sorted(self._strays.items())
                if run_id in self._held and not self._held[run_id].over
            ]
            self._strays = {run.run_id: run.owner for run in near}
            fresh = [run for run in near if after is None or _place(run) > _place(after)]
            if fresh:
                return fresh[:limit]
        far = await self._durable.orphans(session, after, limit)
        return [run for run in far if run.run_id not in self._held]

    async def tokens(self, run_ids: Sequence[str]) -> Sequence[Token | None]:
        near = [run_id for run_id in run_ids if run_id in self._held]
        far = [run_id for run_id in run_ids if run_id not in self._held]
        found = dict(zip(far, await self._durable.tokens(far) if far else (), strict=True))
        for run_id, token in zip(near, await self._volatile.tokens(near), strict=True):
            found[run_id] = None if token is None else -token
        return [found[run_id] for run_id in run_ids]

    # Inboxes: nobody else knows of runs of tier `memory`, so nobody posts to them

    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        return await self._durable.post(messages)

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Message]:
        return await self._durable.inbox(session, limit)

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        return await self._durable.answers(run_id, keys)

    # Hints

    def tell(self, words: Sequence[str]) -> None:
        self._durable.tell(words)

    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        return await self._durable.listen(heard)


def _place(run: DueRun) -> tuple[int, str]:
    return run.owner, run.run_id
