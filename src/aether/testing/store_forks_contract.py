"""What every Store promises about runs that come from others."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..ports import Commit, LogEntry, Payload, Refusal, Store
from ..record import Origin, RunPatch, RunRow, Token
from .rows import START, a_run, changing, commit_one, committed, creating
from .store_suite import StoreSuite, valueless


def an_entry(seq: int, body: bytes) -> LogEntry:
    return LogEntry(seq, START + seq, body)


def a_fork(run_id: str, origin: str, seq: int, root: str = "", shares: bool = True) -> Commit:
    """A commit that creates a fork, with an entry of its own."""
    came = Origin(run_id=origin, seq=seq, root=root or origin)
    row = a_run(run_id, origin=came, created_at=START + len(run_id), tier="state-action-log")
    return creating(row, shares=shares, log=an_entry(seq + 1, run_id.encode()))


async def with_log(store: Store, run_id: str, entries: int) -> Token:
    """A run that has come so far."""
    token = await committed(store, creating(a_run(run_id), log=an_entry(1, b"1")))
    for seq in range(2, entries + 1):
        entry = an_entry(seq, str(seq).encode())
        token = await committed(store, changing(run_id, token, RunPatch(seq=seq), log=entry))
    return token


async def bodies(store: Store, run_id: str, after: int = 0, limit: int = 1000) -> list[bytes]:
    entries: Sequence[LogEntry] = await store.history(run_id, after, limit)
    numbers = [entry.seq for entry in entries]
    assert numbers == list(range(after + 1, after + 1 + len(numbers)))
    return [entry.body for entry in entries]


class ForkPromises(StoreSuite):
    # Forks

    async def test_a_fork_shows_the_entries_that_it_shares_as_its_own(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        token = await with_log(store, "first", 3)
        fork = await committed(store, a_fork("fork", "first", 2))
        await committed(store, changing("first", token, log=an_entry(4, b"4")))
        await committed(store, changing("fork", fork, log=an_entry(4, b"more")))
        assert await bodies(store, "fork") == [b"1", b"2", b"fork", b"more"]
        assert await bodies(store, "fork", 1, 2) == [b"2", b"fork"]
        assert await bodies(store, "fork", 2, 1) == [b"fork"]
        assert await bodies(store, "fork", 3) == [b"more"]
        assert await bodies(store, "first") == [b"1", b"2", b"3", b"4"]

    async def test_a_fork_of_a_fork_shares_what_that_one_shares(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        await with_log(store, "first", 3)
        await committed(store, a_fork("second", "first", 2))
        await committed(store, a_fork("third", "second", 3, "first"))
        await committed(store, a_fork("early", "second", 1, "first"))
        assert await bodies(store, "third") == [b"1", b"2", b"second", b"third"]
        assert await bodies(store, "early") == [b"1", b"early"]

    async def test_a_fork_may_follow_its_origin_in_one_batch(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        first = creating(a_run("first"), log=an_entry(1, b"1"))
        await store.commit([first, a_fork("fork", "first", 1)])
        assert await bodies(store, "fork") == [b"1", b"fork"]

    async def test_what_is_shared_outlives_the_run_that_wrote_it(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        await with_log(store, "first", 3)
        await committed(store, a_fork("fork", "first", 2))
        await committed(store, a_fork("other", "first", 1))
        assert await store.delete("first")
        assert await store.run("first") is None
        assert await bodies(store, "first") == []
        store = await self.reopen(store)
        assert await bodies(store, "fork") == [b"1", b"2", b"fork"]
        assert await store.delete("fork")
        assert await bodies(store, "other") == [b"1", b"other"]

    async def test_what_is_shared_outlives_every_run_in_between(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        await with_log(store, "first", 2)
        await committed(store, a_fork("second", "first", 2))
        await committed(store, a_fork("third", "second", 3, "first"))
        assert await store.delete("second")
        assert await store.delete("first")
        store = await self.reopen(store)
        assert await bodies(store, "third") == [b"1", b"2", b"second", b"third"]
        assert await store.delete("third")
        assert await bodies(store, "third") == []

    async def test_nobody_else_sees_what_was_left_behind(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        await with_log(store, "first", 2)
        await committed(store, a_fork("fork", "first", 2))
        assert await store.delete("first")
        store = await self.reopen(store)
        await committed(store, creating(a_run("first"), log=an_entry(1, b"anew")))
        await committed(store, creating(a_run("next"), log=an_entry(1, b"next")))
        assert await bodies(store, "first") == [b"anew"]
        assert await bodies(store, "next") == [b"next"]
        assert await bodies(store, "fork") == [b"1", b"2", b"fork"]
        assert await store.delete("fork")
        assert await bodies(store, "first") == [b"anew"]

    async def test_payloads_stay_with_those_that_share_the_log_of_who_brought_them(self) -> None:
        store = await self.opened()
        if not (store.keeps_log and store.keeps_payloads):
            return
        payload = Payload(b"p" * 16, b"large")
        first = creating(a_run("first"), log=an_entry(1, b"1"), payloads=[payload])
        await committed(store, first)
        await committed(store, a_fork("second", "first", 1))
        await committed(store, a_fork("third", "second", 2, "first"))
        for gone in ("second", "first"):
            assert await store.delete(gone)
            while await store.collect():
                pass
            assert await store.payloads([payload.digest]) == {payload.digest: b"large"}
        assert await store.delete("third")
        while await store.collect():
            pass
        assert await store.payloads([payload.digest]) == {}

    async def test_a_fork_of_nothing_is_refused(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            assert not isinstance(await commit_one(store, a_fork("fork", "none", 1)), Refusal)
            return
        assert isinstance(await commit_one(store, a_fork("fork", "none", 1)), Refusal)
        nameless = creating(a_run("nameless"), shares=True, log=an_entry(2, b"2"))
        assert isinstance(await commit_one(store, nameless), Refusal)
        assert await store.run("fork") is None
        assert await store.run("nameless") is None

    async def test_a_fork_of_a_run_of_another_document_is_refused(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        await with_log(store, "first", 1)
        fork = a_fork("fork", "first", 1)
        assert isinstance(fork.run, RunRow)
        fork.run = replace(fork.run, document=b"\x02" * 32)
        fork.document = (b"\x02" * 32, b"{}")
        assert isinstance(await commit_one(store, fork), Refusal)
        assert await store.run("fork") is None

    async def test_a_run_with_an_origin_may_have_a_log_of_its_own(self) -> None:
        store = await self.opened()
        if not store.keeps_log:
            return
        came = Origin(run_id="elsewhere", seq=1, root="elsewhere")
        alone = creating(a_run("alone", origin=came), log=an_entry(1, b"1"))
        await committed(store, alone)
        assert await bodies(store, "alone") == [b"1"]

    async def test_forks_are_found_by_the_run_with_which_their_line_began(self) -> None:
        store = await self.opened()
        await with_log(store, "a", 2)
        await with_log(store, "b", 2)
        await committed(store, a_fork("a-fork", "a", 1))
        await committed(store, a_fork("a-fork-of-fork", "a-fork", 2, "a", shares=False))
        await committed(store, a_fork("b-fork!", "b", 1, shares=False))
        found = await store.forks(["a"])
        assert [row.run_id for row in found] == ["a-fork", "a-fork-of-fork"]
        whole = [await store.run(row.run_id) for row in found]
        assert valueless(found) == valueless([row for row in whole if row is not None])
        both = [row.run_id for row in await store.forks(["b", "a", "c"])]
        assert both == ["a-fork", "b-fork!", "a-fork-of-fork"]
        assert await store.forks(["c"]) == []
        assert await store.forks([]) == []
        assert await store.delete("a-fork")
        assert [row.run_id for row in await store.forks(["a"])] == ["a-fork-of-fork"]
