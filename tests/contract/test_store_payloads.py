"""A store with payloads before it keeps every promise of the Store port, and the suite of payloads finds
stores that lose or hoard them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aether.adapters.chance import SystemChance
from aether.adapters.cipher import AesGcm
from aether.adapters.secrets import EnvSecrets
from aether.adapters.store import MemoryStore, SqliteStore, store_from
from aether.adapters.threads import ThreadPool
from aether.engine import Keyring, with_payloads
from aether.ports import Commit, CommitOutcome, Committed, Store
from aether.testing import DictRecords, StoreContract, rejects

KEYS = EnvSecrets(
    environment={"AETHER_SECRET_KEYS_NEW": base64.b64encode(bytes(range(32))).decode()}
)


def keyring() -> Keyring:
    return Keyring("keys/new", KEYS, AesGcm(), SystemChance())


class TestPayloadsOverMemory(StoreContract):
    async def make(self) -> Store:
        return with_payloads(MemoryStore(history=True), threshold=2)


class TestSealedPayloadsOverMemory(StoreContract):
    async def make(self) -> Store:
        return with_payloads(MemoryStore(history=True), threshold=2, keyring=keyring())


class TestSealedPayloadsOverSqlite(StoreContract):
    async def make(self) -> Store:
        pool = ThreadPool(2)
        self.defer(pool.close)
        store = SqliteStore(self.folder() / "aether.db")
        return with_payloads(store, threshold=2, keyring=keyring(), offload=pool)


class TestSealedPayloadsOverRecords(StoreContract):
    async def make(self) -> Store:
        return with_payloads(store_from(DictRecords()), threshold=2, keyring=keyring())


class Broken(MemoryStore):
    def __init__(self) -> None:
        super().__init__(history=True)


class KeepsPayloadsOfWhatItRefused(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        for commit in batch:
            self._bring(commit.run_id, commit.payloads)
        return await super().commit(batch)


class ForgetsPayloadsOfLaterCommits(Broken):
    def _carry_out(self, commit: Commit) -> CommitOutcome:
        if commit.expected is not None:
            commit.payloads = ()
        return super()._carry_out(commit)


class GivesPayloadsToTheFirstOfABatch(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        payloads = [payload for commit in batch for payload in commit.payloads]
        for commit in batch:
            commit.payloads = ()
        batch[0].payloads = payloads
        return await super().commit(batch)


class ReplacesPayloads(Broken):
    def _bring(self, run_id: str, payloads: Any) -> None:
        for payload in payloads:
            self._payloads[payload.digest] = payload.data
        super()._bring(run_id, payloads)


class CountsOneRunAsTwo(Broken):
    """A run that is deleted takes along what another one brought too."""

    def _let_go(self, run_id: str) -> None:
        for digest in self._brought.get(run_id, ()):
            self._bringers[digest] = {run_id}
        super()._let_go(run_id)


class NeverCollects(Broken):
    def _let_go(self, run_id: str) -> None:
        """Nothing goes."""


class CollectsAllAtOnce(Broken):
    async def collect(self, limit: int = 100) -> int:
        return await super().collect(1_000)


class CollectsWhatCameBack(Broken):
    async def collect(self, limit: int = 100) -> int:
        looked = list(self._loose)[:limit]
        for digest in looked:
            del self._loose[digest]
            self._payloads.pop(digest, None)
        return len(looked)


class ForgetsThatARunBroughtIt(Broken):
    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes = await super().commit(batch)
        for commit, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Committed) and not commit.payloads:
                self._let_go(commit.run_id)
        return outcomes


class ForgetsPayloadsWhenItCloses(Broken):
    async def close(self) -> None:
        self._payloads.clear()


class AnswersNothingForOneItLacks(Broken):
    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        found = await super().payloads(digests)
        return found if len(found) == len(digests) else {}


class AnswersForWhatItLacks(Broken):
    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return {digest: self._payloads.get(digest, b"") for digest in digests}


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (KeepsPayloadsOfWhatItRefused, "test_a_commit_that_is_not_carried_out_brings_no_payload"),
        (ForgetsPayloadsOfLaterCommits, "test_a_payload_is_kept_with_the_commit_that_brings_it"),
        (GivesPayloadsToTheFirstOfABatch, "test_each_commit_of_a_batch_brings_its_own_payloads"),
        (ReplacesPayloads, "test_what_comes_again_is_kept_once_and_stays_as_it_was"),
        (CountsOneRunAsTwo, "test_payloads_of_deleted_runs_are_collected_a_few_at_a_time"),
        (NeverCollects, "test_each_commit_of_a_batch_brings_its_own_payloads"),
        (CollectsAllAtOnce, "test_payloads_of_deleted_runs_are_collected_a_few_at_a_time"),
        (CollectsWhatCameBack, "test_a_payload_that_comes_back_before_it_is_collected_stays"),
        (ForgetsThatARunBroughtIt, "test_a_payload_stays_as_long_as_one_run_that_brought_it"),
        (ForgetsPayloadsWhenItCloses, "test_payloads_outlive_a_close"),
        (AnswersNothingForOneItLacks, "test_a_payload_is_kept_with_the_commit_that_brings_it"),
        (AnswersForWhatItLacks, "test_nobody_asked_for_means_no_payload"),
    ],
)
def test_the_suite_finds_stores_that_lose_or_hoard_payloads(broken: type[Store], test: str) -> None:
    rejects(StoreContract, broken, by=test)
