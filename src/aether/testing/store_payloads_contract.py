"""What every Store promises about payloads; of one that keeps none, that it says so."""

from __future__ import annotations

from collections.abc import Sequence

from ..ports import Conflict, Payload, Refusal, Store
from ..record import RunPatch, TaskPatch
from .rows import a_run, changing, commit_one, committed, creating
from .store_suite import StoreSuite

ONE = Payload(b"\x01" * 32, b"\x01one" * 1000)
TWO = Payload(b"\x02" * 32, bytes(range(256)) * 5000)
UNKNOWN = b"\x03" * 32


class PayloadPromises(StoreSuite):
    async def test_a_payload_is_kept_with_the_commit_that_brings_it(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run"), payloads=[ONE]))
        await committed(store, changing("run", token, payloads=[TWO]))
        if not store.keeps_payloads:
            assert not await store.payloads([ONE.digest, TWO.digest])
            return
        assert await store.payloads([TWO.digest, UNKNOWN, ONE.digest]) == {
            ONE.digest: ONE.data,
            TWO.digest: TWO.data,
        }

    async def test_nobody_asked_for_means_no_payload(self) -> None:
        store = await self.opened()
        assert not await store.payloads([])
        assert not await store.payloads([UNKNOWN])

    async def test_a_commit_that_is_not_carried_out_brings_no_payload(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        late = changing("run", token + 1, payloads=[ONE])
        assert isinstance(await commit_one(store, late), Conflict)
        impossible = changing("run", token, tasks=[TaskPatch(7, message="nobody")], payloads=[ONE])
        assert isinstance(await commit_one(store, impossible), Refusal)
        again = creating(a_run("run"), payloads=[ONE])
        assert isinstance(await commit_one(store, again), Conflict)
        assert not await store.payloads([ONE.digest])

    async def test_each_commit_of_a_batch_brings_its_own_payloads(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            return
        token = await committed(store, creating(a_run("a")))
        await store.commit(
            [
                creating(a_run("b"), payloads=[TWO, ONE]),
                changing("a", token + 1, payloads=[ONE]),
                creating(a_run("c"), payloads=[ONE]),
            ]
        )
        await store.delete("b")
        await _collected(store)
        assert set(await store.payloads([ONE.digest, TWO.digest])) == {ONE.digest}
        await store.delete("c")
        await _collected(store)
        assert not await store.payloads([ONE.digest, TWO.digest])

    async def test_what_comes_again_is_kept_once_and_stays_as_it_was(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            return
        other = Payload(ONE.digest, b"something else")
        token = await committed(store, creating(a_run("a"), payloads=[ONE, ONE]))
        await committed(store, changing("a", token, payloads=[other]))
        await committed(store, creating(a_run("b"), payloads=[other]))
        assert await store.payloads([ONE.digest]) == {ONE.digest: ONE.data}

    async def test_a_payload_stays_as_long_as_one_run_that_brought_it(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            return
        token = await committed(store, creating(a_run("a"), payloads=[ONE]))
        await committed(store, changing("a", token, RunPatch(message="no word of it any more")))
        await committed(store, creating(a_run("b"), payloads=[ONE]))
        await store.delete("b")
        await _collected(store)
        assert await store.payloads([ONE.digest]) == {ONE.digest: ONE.data}

    async def test_payloads_of_deleted_runs_are_collected_a_few_at_a_time(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            assert await store.collect() == 0
            return
        many = [Payload(bytes([n]) * 32, b"data") for n in range(1, 8)]
        await committed(store, creating(a_run("a"), payloads=many))
        await committed(store, creating(a_run("b"), payloads=many[:2]))
        assert await store.collect() == 0
        await store.delete("a")
        rounds = await _collected(store, limit=3)
        assert all(0 < looked <= 3 for looked in rounds)
        assert set(await store.payloads([each.digest for each in many])) == {
            each.digest for each in many[:2]
        }

    async def test_a_payload_that_comes_back_before_it_is_collected_stays(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            return
        await committed(store, creating(a_run("a"), payloads=[ONE]))
        await store.delete("a")
        await committed(store, creating(a_run("a"), payloads=[ONE]))
        await _collected(store)
        assert await store.payloads([ONE.digest]) == {ONE.digest: ONE.data}

    async def test_a_payload_that_comes_back_after_it_was_collected_is_kept_again(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            return
        await committed(store, creating(a_run("a"), payloads=[ONE]))
        await store.delete("a")
        await _collected(store)
        await committed(store, creating(a_run("b"), payloads=[ONE]))
        assert await store.payloads([ONE.digest]) == {ONE.digest: ONE.data}

    async def test_payloads_outlive_a_close(self) -> None:
        store = await self.opened()
        if not store.keeps_payloads:
            return
        await committed(store, creating(a_run("a"), payloads=[ONE]))
        await committed(store, creating(a_run("b"), payloads=[TWO]))
        await store.delete("b")
        store = await self.reopen(store)
        assert await store.payloads([ONE.digest]) == {ONE.digest: ONE.data}
        await _collected(store)
        assert not await store.payloads([TWO.digest])


async def _collected(store: Store, limit: int = 100) -> Sequence[int]:
    """Until none is left; how many each call looked at."""
    rounds: list[int] = []
    while looked := await store.collect(limit):
        rounds.append(looked)
        assert len(rounds) < 100, "`collect` never comes to its end"
    return rounds
