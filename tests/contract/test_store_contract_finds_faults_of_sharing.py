"""The store suite finds stores that share badly: each is broken on purpose, and found by the planned test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from aether.adapters.store import MemoryStore
from aether.ports import (
    Claim,
    Commit,
    CommitOutcome,
    DueRun,
    Message,
    Posted,
    Session,
    SessionAnswer,
)
from aether.testing import StoreContract, rejects


class Broken(MemoryStore):
    def __init__(self) -> None:
        super().__init__(history=True, shared=True)


class GivesRunsAwayThatAreHeld(Broken):
    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        for run_id in run_ids:
            if run_id in self._runs:
                self._sessions.end(self._runs[run_id].row.held_by)
        return await super().claim(run_ids, session)


class LeavesATakenRunItsToken(Broken):
    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        before = [await self.run(run_id) for run_id in run_ids]
        answers = await super().claim(run_ids, session)
        for row in before:
            if row is not None:
                self._runs[row.run_id].row.token = row.token
        return answers


class TakesOwnersAtTheirWord(Broken):
    """A claim is written as if it were a decision: nobody can tell that one is due."""

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        answers = await super().claim(run_ids, session)
        for run_id in run_ids:
            if run_id in self._runs and self._runs[run_id].row.claimed:
                row = self._runs[run_id].row
                row.owner, row.claimed = row.claimed, 0
        return answers


class LetsTheDeadClaim(Broken):
    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        await self.session(Session(lease=1, number=0))
        return [self._claim(run_id, session) for run_id in run_ids]


class EndsTheSessionThatAsks(Broken):
    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        self._sessions.end_others(0)
        return await super().orphans(session, after, limit)


class RaisesSessionsFromTheDead(Broken):
    async def session(self, session: Session) -> SessionAnswer:
        answer = await super().session(session)
        return SessionAnswer(answer.number, answer.now)


class NeverEndsASession(Broken):
    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        return await super().orphans(0, after, limit)

    async def claim(self, run_ids: Sequence[str], session: int) -> Sequence[Claim]:
        return [self._claim(run_id, session) for run_id in run_ids]


class ListsOrphansById(Broken):
    async def orphans(
        self, session: int, after: DueRun | None = None, limit: int = 256
    ) -> Sequence[DueRun]:
        found = await super().orphans(session, None, 1_000_000)
        behind = after.run_id if after else ""
        return sorted((run for run in found if run.run_id > behind), key=lambda r: r.run_id)[:limit]


class ForgetsNewOwners(Broken):
    """A patch of the owner does not move the run among those that are listed."""

    def _set_open(self, run_id: str, holder: int, is_open: bool) -> None:
        super()._set_open(run_id, holder if is_open and holder else 77, is_open)


class ConsumesWhatDoesNotWait(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        kept = []
        for commit in batch:
            waiting = {m.key for m in self._inboxes.waiting() if m.run_id == commit.run_id}
            some = [each for each in commit.consumed if each.key in waiting]
            kept.append(replace(commit, consumed=some))
        return await super().commit(kept)


class ConsumesInAConflict(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        for commit in batch:
            if self._inboxes.all_wait(commit.run_id, commit.consumed):
                self._inboxes.consume(commit.run_id, commit.consumed)
        return await super().commit([replace(commit, consumed=()) for commit in batch])


class ForgetsAnswers(Broken):
    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        found = await super().answers(run_id, keys)
        return [None if answer is None else b"" for answer in found]


class DeletesWhatWasRead(Broken):
    """So a sender that asks again has it done again."""

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes = await super().commit(batch)
        for commit in batch:
            if commit.consumed:
                self._inboxes.delete(commit.run_id)
        return outcomes


class KnowsKeysOfAllRuns(Broken):
    async def post(self, messages: Sequence[Message]) -> Sequence[Posted]:
        known = {message.key for message in self._inboxes.waiting()}
        fresh = [message for message in messages if message.key not in known]
        await super().post(fresh)
        return [Posted.ACCEPTED for _ in messages]


class PostsToRunsThatAreOver(Broken):
    def _is_open(self, run_id: str) -> bool:
        return True


class KeepsMailOfDeletedRuns(Broken):
    async def delete(self, run_id: str) -> bool:
        delete, self._inboxes.delete = self._inboxes.delete, _nothing  # type: ignore[method-assign]
        try:
            return await super().delete(run_id)
        finally:
            self._inboxes.delete = delete  # type: ignore[method-assign]


def _nothing(run_id: str) -> None:
    """What is there stays there."""


class TellsNobody(Broken):
    seconds = 0.2

    def tell(self, words: Sequence[str]) -> None:
        """It is forgotten."""


class TellsThoseWhoNoLongerListen(Broken):
    async def listen(self, heard: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        await super().listen(heard)
        return lambda: None


STORES = [
    (GivesRunsAwayThatAreHeld, "test_a_run_of_a_session_that_stands_is_held"),
    (LeavesATakenRunItsToken, "test_a_run_of_a_session_that_is_over_is_taken_under_a_new_token"),
    (TakesOwnersAtTheirWord, "test_a_run_of_a_session_that_is_over_is_taken_under_a_new_token"),
    (LetsTheDeadClaim, "test_a_session_that_is_over_claims_nothing"),
    (EndsTheSessionThatAsks, "test_a_lease_that_passed_unnoticed_is_renewed"),
    (RaisesSessionsFromTheDead, "test_a_session_stands_until_it_is_ended"),
    (NeverEndsASession, "test_others_end_a_session_whose_lease_has_passed"),
    (ListsOrphansById, "test_orphans_are_listed_by_owner_and_id_behind_a_cursor"),
    (ForgetsNewOwners, "test_a_patch_of_the_owner_moves_the_run"),
    (ConsumesWhatDoesNotWait, "test_what_does_not_wait_makes_a_conflict"),
    (ConsumesInAConflict, "test_a_commit_that_conflicts_consumes_nothing"),
    (ForgetsAnswers, "test_what_a_commit_consumes_waits_no_longer_and_is_answered"),
    (DeletesWhatWasRead, "test_what_a_commit_consumes_waits_no_longer_and_is_answered"),
    (KnowsKeysOfAllRuns, "test_a_key_is_taken_once_in_its_run"),
    (PostsToRunsThatAreOver, "test_nothing_is_posted_to_a_run_that_is_over_or_unknown"),
    (KeepsMailOfDeletedRuns, "test_messages_go_with_their_run"),
    (TellsNobody, "test_whoever_listens_hears_what_is_told"),
    (TellsThoseWhoNoLongerListen, "test_whoever_listens_hears_what_is_told"),
]


@pytest.mark.parametrize(
    ("broken", "test"), STORES, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_suite_finds_a_store_that_shares_badly(broken: type[MemoryStore], test: str) -> None:
    rejects(StoreContract, broken, by=test)
