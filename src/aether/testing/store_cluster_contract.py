"""What every Store promises about sessions, ownership, inboxes and hints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..ports import (
    Claim,
    Commit,
    Committed,
    Conflict,
    Consumed,
    Message,
    Posted,
    Session,
    Store,
)
from ..record import HookPatch, Phase, RunPatch
from .rows import START, a_hook, a_run, changing, commit_one, committed, creating
from .store_suite import StoreSuite

HOUR = 3_600_000_000


async def a_session(store: Store, lease: int = HOUR) -> int:
    return (await store.session(Session(lease=lease, name="somebody", at=START))).number


async def stands(store: Store, number: int, lease: int = HOUR) -> bool:
    return (await store.session(Session(lease=lease, number=number, at=START))).stands


async def orphan_ids(store: Store, session: int) -> list[str]:
    return [run.run_id for run in await store.orphans(session)]


async def claim_one(store: Store, run_id: str, session: int) -> Claim:
    [answer] = await store.claim([run_id], session)
    return answer


def a_message(run_id: str, key: str, body: bytes = b"body") -> Message:
    return Message(run_id=run_id, key=key, body=body, at=START)


async def keys_of(store: Store, session: int) -> list[str]:
    return [message.key for message in await store.inbox(session)]


def consuming(run_id: str, token: int, *consumed: Consumed) -> Commit:
    return changing(run_id, token, RunPatch(message="read"), consumed=consumed)


class ClusterPromises(StoreSuite):
    # Sessions

    async def test_each_new_session_has_a_number_of_its_own(self) -> None:
        store = await self.opened()
        numbers = [await a_session(store) for _ in range(5)]
        assert len(set(numbers)) == 5
        assert all(numbers), "0 is no session"
        again = await self.reopen(store)
        assert await a_session(again) not in numbers

    async def test_a_session_stands_until_it_is_ended(self) -> None:
        store = await self.opened()
        number = await a_session(store)
        assert await stands(store, number)
        assert await stands(store, number)
        await store.end_session(number)
        assert not await stands(store, number)
        await store.end_session(number)  # again: nothing happens
        assert not await stands(store, number + 1000)

    async def test_a_lease_that_passed_unnoticed_is_renewed(self) -> None:
        store = await self.opened()
        number = await a_session(store, lease=0)
        await store.orphans(number)
        await store.claim(["nobody"], number)
        assert await stands(store, number), "nobody ends its own session"

    async def test_one_engine_owns_a_store_that_is_not_shared(self) -> None:
        store = await self.opened()
        first = await a_session(store)
        second = await a_session(store)
        assert await stands(store, first) is store.shared
        assert await stands(store, second)

    async def test_others_end_a_session_whose_lease_has_passed(self) -> None:
        store = await self.opened()
        for look in (store.orphans, lambda mine: store.claim(["nobody"], mine)):
            old, good = await a_session(store, lease=0), await a_session(store)
            mine = await a_session(store)
            await look(mine)
            assert not await stands(store, old)
            assert await stands(store, good) is store.shared

    async def test_the_time_of_a_store_goes_on(self) -> None:
        store = await self.opened()
        first = await store.session(Session(lease=HOUR, at=START))
        then = await store.session(Session(lease=HOUR, number=first.number, at=START + 5))
        assert then.now >= first.now

    # Ownership

    async def test_a_new_run_belongs_to_the_session_in_its_row(self) -> None:
        store = await self.opened()
        mine = await a_session(store)
        await committed(store, creating(a_run("run", owner=mine, claimed=77)))
        row = await store.run("run")
        assert row is not None
        assert (row.owner, row.claimed) == (mine, 0)
        assert await claim_one(store, "run", mine) is Claim.MINE
        assert await orphan_ids(store, mine) == []

    async def test_a_run_of_a_session_that_stands_is_held(self) -> None:
        store = await self.opened()
        if not store.shared:
            return
        theirs, mine = await a_session(store), await a_session(store)
        token = await committed(store, creating(a_run("run", owner=theirs)))
        assert await claim_one(store, "run", mine) is Claim.HELD
        assert await orphan_ids(store, mine) == []
        assert await store.tokens(["run"]) == [token]

    async def test_a_run_of_a_session_that_is_over_is_taken_under_a_new_token(self) -> None:
        store = await self.opened()
        old = await a_session(store)
        token = await committed(store, creating(a_run("run", owner=old, message="as it was")))
        await store.end_session(old)
        mine = await a_session(store)
        assert await claim_one(store, "run", mine) is Claim.TAKEN
        assert isinstance(await commit_one(store, changing("run", token)), Conflict)
        row = await store.run("run")
        assert row is not None
        assert (row.owner, row.claimed, row.held_by) == (old, mine, mine)
        assert (row.message, row.epoch) == ("as it was", 1)
        assert await claim_one(store, "run", mine) is Claim.MINE
        assert (await store.load(["run"]))[0].run == row  # type: ignore[union-attr]
        await committed(store, changing("run", row.token, RunPatch(owner=mine, epoch=2)))
        row = await store.run("run")
        assert row is not None
        assert (row.owner, row.claimed, row.epoch) == (mine, 0, 2)

    async def test_a_run_that_nobody_owns_is_taken(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        mine = await a_session(store)
        assert await orphan_ids(store, mine) == ["run"]
        assert await claim_one(store, "run", mine) is Claim.TAKEN
        assert (await store.tokens(["run"]))[0] not in (None, token)
        assert await orphan_ids(store, mine) == []

    async def test_a_session_that_is_over_claims_nothing(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        mine = await a_session(store)
        await store.end_session(mine)
        assert await store.claim(["run", "nobody"], mine) == [Claim.LOST, Claim.LOST]
        assert await store.tokens(["run"]) == [token]

    async def test_each_run_is_claimed_on_its_own(self) -> None:
        store = await self.opened()
        mine = await a_session(store)
        await committed(store, creating(a_run("mine", owner=mine)))
        await committed(store, creating(a_run("free")))
        await committed(store, creating(a_run("over", phase=Phase.FAILED)))
        hooked = creating(a_run("hooked", phase=Phase.FAILED), hooks=[a_hook(0)])
        token = await committed(store, hooked)
        asked = ["free", "nobody", "mine", "over", "hooked"]
        answers = [Claim.TAKEN, Claim.UNKNOWN, Claim.MINE, Claim.OVER, Claim.TAKEN]
        assert list(await store.claim(asked, mine)) == answers
        [token] = [each for each in await store.tokens(["hooked"]) if each]
        over = changing("hooked", token, hooks=[HookPatch(number=0, phase=Phase.SUCCEEDED)])
        await committed(store, over)
        assert await claim_one(store, "hooked", mine) is Claim.OVER

    async def test_a_patch_of_the_owner_moves_the_run(self) -> None:
        store = await self.opened()
        mine = await a_session(store)
        token = await committed(store, creating(a_run("run", owner=mine)))
        token = await committed(store, changing("run", token, RunPatch(owner=0)))
        assert await orphan_ids(store, mine) == ["run"]
        await committed(store, changing("run", token, RunPatch(owner=mine)))
        assert await orphan_ids(store, mine) == []

    async def test_orphans_are_listed_by_owner_and_id_behind_a_cursor(self) -> None:
        store = await self.opened()
        first, second = 11, 12
        for number, run_id in enumerate(("r5", "r1", "r3", "r2", "r4")):
            run = a_run(run_id, owner=second if run_id < "r3" else first, due_at=START + number)
            await committed(store, creating(run))
        await committed(store, creating(a_run("done", owner=first, phase=Phase.SUCCEEDED)))
        mine = await a_session(store)
        await committed(store, creating(a_run("r0", owner=mine)))
        found = await store.orphans(mine)
        listed = [(run.owner, run.run_id, run.due_at) for run in found]
        assert listed == [
            (first, "r3", START + 2),
            (first, "r4", START + 4),
            (first, "r5", START),
            (second, "r1", START + 1),
            (second, "r2", START + 3),
        ]
        page = await store.orphans(mine, limit=2)
        assert [run.run_id for run in page] == ["r3", "r4"]
        page = await store.orphans(mine, page[-1], 2)
        assert [run.run_id for run in page] == ["r5", "r1"]
        assert [run.run_id for run in await store.orphans(mine, page[-1], 2)] == ["r2"]
        assert list(await store.orphans(mine, found[-1])) == []

    async def test_a_claim_outlives_the_store(self) -> None:
        store = await self.opened()
        await committed(store, creating(a_run("run", owner=5)))
        mine = await a_session(store)
        await store.claim(["run"], mine)
        if not store.shared:
            return
        again = await self.reopen(store)
        assert await stands(again, mine)
        row = await again.run("run")
        assert row is not None
        assert row.held_by == mine

    async def test_tokens_are_those_of_the_rows(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        assert list(await store.tokens(["nobody", "run"])) == [None, token]
        assert list(await store.tokens([])) == []

    # Inboxes

    async def _with_a_run(self) -> tuple[Store, int, int]:
        """A store, a session, and the token of its run `run`."""
        store = await self.opened()
        mine = await a_session(store)
        return store, mine, await committed(store, creating(a_run("run", owner=mine)))

    async def test_messages_wait_in_the_inbox_of_the_runs_owner(self) -> None:
        store, mine, _ = await self._with_a_run()
        await committed(store, creating(a_run("other")))
        messages = [a_message("run", "b", b"1"), a_message("other", "x"), a_message("run", "a")]
        assert list(await store.post(messages)) == [Posted.ACCEPTED] * 3
        assert list(await store.inbox(mine)) == [messages[0], messages[2]]
        assert list(await store.inbox(mine, 1)) == [messages[0]]
        await store.claim(["other"], mine)
        assert await keys_of(store, mine) == ["b", "x", "a"]

    async def test_a_key_is_taken_once_in_its_run(self) -> None:
        store, mine, _ = await self._with_a_run()
        await committed(store, creating(a_run("other", owner=mine)))
        for body in (b"first", b"second"):
            assert list(await store.post([a_message("run", "key", body)])) == [Posted.ACCEPTED]
        await store.post([a_message("other", "key")])
        found = [(each.run_id, each.body) for each in await store.inbox(mine)]
        assert found == [("run", b"first"), ("other", b"body")]

    async def test_what_a_commit_consumes_waits_no_longer_and_is_answered(self) -> None:
        store, mine, token = await self._with_a_run()
        await store.post([a_message("run", "a"), a_message("run", "b"), a_message("run", "c")])
        assert list(await store.answers("run", ["a", "nobody"])) == [None, None]
        token = await committed(
            store, consuming("run", token, Consumed("b"), Consumed("a", b"refused"))
        )
        assert await keys_of(store, mine) == ["c"]
        assert list(await store.answers("run", ["a", "b", "c"])) == [b"refused", b"", None]
        assert list(await store.post([a_message("run", "a")])) == [Posted.ACCEPTED]
        assert await keys_of(store, mine) == ["c"], "it happened once, and happens once"

    async def test_what_does_not_wait_makes_a_conflict(self) -> None:
        store, mine, token = await self._with_a_run()
        await store.post([a_message("run", "a"), a_message("run", "b")])
        token = await committed(store, consuming("run", token, Consumed("a")))
        for key in ("a", "nobody"):
            twice = consuming("run", token, Consumed("b"), Consumed(key))
            assert isinstance(await commit_one(store, twice), Conflict)
        assert await store.tokens(["run"]) == [token]
        assert await keys_of(store, mine) == ["b"]

    async def test_a_commit_that_conflicts_consumes_nothing(self) -> None:
        store, mine, token = await self._with_a_run()
        await store.post([a_message("run", "a")])
        late = consuming("run", token + 1000, Consumed("a"))
        assert isinstance(await commit_one(store, late), Conflict)
        assert await keys_of(store, mine) == ["a"]
        good = consuming("run", token, Consumed("a"))
        outcomes = await store.commit([late, good])
        assert [type(outcome) for outcome in outcomes] == [Conflict, Committed]
        assert await keys_of(store, mine) == []

    async def test_nothing_is_posted_to_a_run_that_is_over_or_unknown(self) -> None:
        store, mine, token = await self._with_a_run()
        await store.post([a_message("run", "early")])
        await committed(store, changing("run", token, RunPatch(phase=Phase.FAILED)))
        asked = [a_message("run", "late"), a_message("nobody", "k"), a_message("run", "early")]
        answers = [Posted.OVER, Posted.UNKNOWN, Posted.ACCEPTED]
        assert list(await store.post(asked)) == answers
        assert await keys_of(store, mine) == ["early"]
        [token] = [each for each in await store.tokens(["run"]) if each]
        await committed(store, consuming("run", token, Consumed("early", b"over")))
        assert list(await store.answers("run", ["early"])) == [b"over"]

    async def test_messages_go_with_their_run(self) -> None:
        store, mine, token = await self._with_a_run()
        await store.post([a_message("run", "a"), a_message("run", "b")])
        await committed(store, consuming("run", token, Consumed("a")))
        await store.delete("run")
        assert list(await store.answers("run", ["a", "b"])) == [None, None]
        await committed(store, creating(a_run("run", owner=mine)))
        assert await keys_of(store, mine) == []
        assert list(await store.answers("run", ["a", "b"])) == [None, None]

    # Hints

    async def test_whoever_listens_hears_what_is_told(self) -> None:
        store = await self.opened()
        heard: list[str] = []
        enough = asyncio.Event()

        def hear(words: Sequence[str]) -> None:
            heard.extend(words)
            if {"a", "b"} <= set(heard):
                enough.set()

        stop = await store.listen(hear)
        self.defer(stop)
        if not store.shared and store.poll:
            return  # nobody else is there to be told
        store.tell(["a"])
        store.tell(["b"])
        await enough.wait()
        stop()
        stop()
        store.tell(["c"])
        for _ in range(5):
            await asyncio.sleep(0)
        assert "c" not in heard
