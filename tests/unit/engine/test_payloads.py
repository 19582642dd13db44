"""Large values lie beside the rows, once; sealed ones can be read with their key, and only with it."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any

import pytest

from aether.adapters.chance import SystemChance
from aether.adapters.cipher import AesGcm
from aether.adapters.errors import CollectingSink
from aether.adapters.secrets import EnvSecrets
from aether.adapters.store import MemoryStore
from aether.engine import Keyring, Reserved, verify_run, with_payloads
from aether.errors import InvalidState, Refused, StoreUnavailable
from aether.ports import LogEntry, RunQuery, Store
from aether.record import (
    NamedValue,
    RunPatch,
    encode_values,
    erase_payloads,
    is_cell,
    is_ciphered,
    seal,
)
from aether.testing import FakeClock
from aether.testing.rows import a_run, a_task, changing, committed, creating, loaded

ENVIRONMENT = {
    "AETHER_SECRET_KEYS_OLD": base64.b64encode(bytes(range(32))).decode(),
    "AETHER_SECRET_KEYS_NEW": (b"\x07" * 32).hex(),
    "AETHER_SECRET_KEYS_SHORT": base64.b64encode(b"too short").decode(),
    "AETHER_SECRET_BILLING_TOKEN": "t0ken",
}
TABLE = "row " * 5_000
OUTPUTS = encode_values([NamedValue("table", "str", TABLE)])
INPUTS = encode_values([NamedValue("n", "", 1), NamedValue("data", "", TABLE)])
SMALL = encode_values([NamedValue("card", "str", "4111 1111")])
LIMIT = 1_000


def keys(key_id: str = "new", environment: dict[str, str] = ENVIRONMENT) -> Keyring:
    return Keyring(f"keys/{key_id}", EnvSecrets(environment=environment), AesGcm(), SystemChance())


class Counting(MemoryStore):
    def __init__(self) -> None:
        super().__init__(history=True)
        self.asked = 0
        self.down = False

    async def payloads(self, digests: Sequence[bytes]) -> Any:
        self.asked += 1
        return await super().payloads(digests)

    async def collect(self, limit: int = 100) -> int:
        if self.down:
            raise StoreUnavailable("the disk is away")
        return await super().collect(limit)


async def opened(beneath: MemoryStore, **settings: Any) -> Store:
    store = with_payloads(beneath, threshold=LIMIT, **settings)
    await store.open()
    return store


async def with_a_run(store: Store) -> None:
    """A run of two tasks, with its log: one returns a table, the other takes it under another name."""
    first = a_run("r", arguments=SMALL, seq=1)
    tasks = [a_task(0, outputs=OUTPUTS), a_task(1, inputs=INPUTS)]
    sealed = seal(b"", 1, first.created_at, [first, *tasks], b"\xc1" + b"s" * 15)
    first.head = sealed.head
    log = LogEntry(1, first.created_at, sealed.body)
    await committed(store, creating(first, tasks=tasks, log=log))


async def test_a_value_is_kept_once_in_rows_and_log_under_whatever_name() -> None:
    beneath = Counting()
    store = await opened(beneath)
    await with_a_run(store)
    assert len(beneath._payloads) == 1
    rows = await loaded(beneath, "r")
    assert all(len(task.inputs or task.outputs or b"") < 200 for task in rows.tasks.values())
    assert len((await beneath.history("r"))[0].body) < LIMIT
    seen = await loaded(store, "r")
    assert (seen.tasks[0].outputs, seen.tasks[1].inputs) == (OUTPUTS, INPUTS)


async def test_what_the_engine_handed_in_stays_as_it_was() -> None:
    store = await opened(Counting(), keyring=keys())
    task = a_task(0, outputs=OUTPUTS)
    commit = creating(a_run("r", arguments=SMALL), tasks=[task])
    await store.commit([commit])
    assert task.outputs == OUTPUTS
    assert commit.tasks == [task]
    assert not commit.payloads


async def test_small_values_go_to_the_store_in_the_very_commit() -> None:
    class Watching(Counting):
        async def commit(self, batch: Any) -> Any:
            self.batch = batch
            return await super().commit(batch)

    beneath = Watching()
    store = await opened(beneath)
    batch = [creating(a_run("r", arguments=SMALL))]
    await store.commit(batch)
    assert beneath.batch is batch


async def test_a_value_that_a_run_has_brought_is_not_brought_again() -> None:
    brought = []

    class Watching(Counting):
        def _bring(self, run_id: str, payloads: Any) -> None:
            brought.extend(payloads)
            super()._bring(run_id, payloads)

    store = await opened(Watching())
    token = await committed(store, creating(a_run("r"), tasks=[a_task(0, outputs=OUTPUTS)]))
    await committed(store, changing("r", token, tasks=[a_task(1, inputs=INPUTS)]))
    assert len(brought) == 1
    await store.delete("r")
    await committed(store, creating(a_run("r"), tasks=[a_task(0, outputs=OUTPUTS)]))
    assert len(brought) == 2


async def test_listings_read_no_payload() -> None:
    beneath = Counting()
    store = await opened(beneath)
    await committed(store, creating(a_run("r", arguments=OUTPUTS, outputs=SMALL)))
    [row] = (await store.runs(RunQuery())).runs
    assert (row.arguments, row.outputs) == (None, SMALL)
    assert beneath.asked == 0


async def test_all_values_are_sealed_and_come_back() -> None:
    beneath = Counting()
    store = await opened(beneath, keyring=keys())
    await with_a_run(store)
    rows = await loaded(beneath, "r")
    assert is_ciphered(rows.run.arguments or b"")
    told = repr(rows) + repr(beneath._payloads) + repr(await beneath.history("r"))
    assert "4111" not in told
    assert "row row" not in told
    assert (await loaded(store, "r")).run.arguments == SMALL


async def test_equal_small_values_look_different_and_large_ones_of_two_keys_too() -> None:
    beneath = Counting()
    new, old = (
        await opened(beneath, keyring=keys("new")),
        await opened(beneath, keyring=keys("old")),
    )
    for name, store in (("a", new), ("b", new), ("c", old)):
        await committed(store, creating(a_run(name, arguments=SMALL, outputs=OUTPUTS)))
    sealed = [(await loaded(beneath, name)).run.arguments for name in "abc"]
    assert len(set(sealed)) == 3
    assert len(beneath._payloads) == 2


async def test_old_keys_read_what_they_sealed_and_new_values_take_the_newest() -> None:
    beneath = Counting()
    await with_a_run(await opened(beneath, keyring=keys("old")))
    store = await opened(beneath, keyring=keys("new"))
    assert (await loaded(store, "r")).tasks[0].outputs == OUTPUTS
    await committed(store, creating(a_run("s", arguments=SMALL)))
    without = {name: text for name, text in ENVIRONMENT.items() if "OLD" not in name}
    store = await opened(beneath, keyring=keys("new", without))
    assert (await loaded(store, "s")).run.arguments == SMALL
    with pytest.raises(Refused) as caught:
        await store.load(["r"])
    assert caught.value.code == "payload-key-missing"
    assert "keys/old" in str(caught.value)


async def test_without_a_key_the_problem_names_it() -> None:
    beneath = Counting()
    await with_a_run(await opened(beneath, keyring=keys()))
    with pytest.raises(Refused, match="'new'") as caught:
        await (await opened(beneath)).load(["r"])
    assert caught.value.code == "payload-key-missing"


async def test_a_key_that_was_replaced_under_its_id_opens_nothing() -> None:
    beneath = Counting()
    await with_a_run(await opened(beneath, keyring=keys()))
    other = ENVIRONMENT | {"AETHER_SECRET_KEYS_NEW": os.urandom(32).hex()}
    with pytest.raises(InvalidState) as caught:
        await (await opened(beneath, keyring=keys("new", other))).load(["r"])
    assert caught.value.code == "payload-unreadable"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("keys", "bad-key-reference"),
        ("keys/../new", "bad-key-reference"),
        ("keys/short", "bad-payload-key"),
        ("keys/none", "payload-key-missing"),
    ],
)
async def test_a_key_that_is_none_keeps_the_store_from_opening(reference: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        provider = EnvSecrets(environment=ENVIRONMENT)
        await opened(Counting(), keyring=Keyring(reference, provider, AesGcm(), SystemChance()))
    assert caught.value.code == code
    assert ENVIRONMENT["AETHER_SECRET_KEYS_SHORT"] not in str(caught.value)


async def test_tasks_cannot_have_the_keys_under_any_name() -> None:
    environment = ENVIRONMENT | {"AETHER_SECRET_K_EYS": ENVIRONMENT["AETHER_SECRET_KEYS_NEW"]}
    keyring = keys("new", environment)
    await keyring.open()
    reserved = Reserved(EnvSecrets(environment=environment), keyring)
    assert await reserved.get("keys", "new") is None
    assert await reserved.get("keys", "old") is None
    assert await reserved.get("k", "eys") is None
    assert await reserved.get("billing", "token") == "t0ken"
    assert ENVIRONMENT["AETHER_SECRET_KEYS_NEW"] not in repr(keyring)


async def test_the_chain_is_verified_without_the_key_and_says_so() -> None:
    beneath = Counting()
    await with_a_run(await opened(beneath, keyring=keys()))
    verdict = await verify_run(await opened(beneath, blind=True), "r")
    assert verdict.sealed == 1
    assert not [fault for fault in verdict.faults if "document" not in fault]


async def test_entries_of_sealed_values_can_be_erased_and_unsealed_ones_are_held_against_them() -> (
    None
):
    beneath = Counting()
    store = await opened(beneath, keyring=keys())
    await with_a_run(store)
    [entry] = await store.history("r")
    assert not is_cell(entry.body)
    assert len(erase_payloads(entry.body)) < len(entry.body)


async def test_a_payload_that_is_gone_is_named() -> None:
    beneath = Counting()
    store = await opened(beneath)
    await with_a_run(store)
    beneath._payloads.clear()
    with pytest.raises(InvalidState) as caught:
        await store.load(["r"])
    assert caught.value.code == "payload-missing"


async def test_a_payload_that_was_changed_is_told_from_a_value() -> None:
    beneath = Counting()
    store = await opened(beneath)
    await with_a_run(store)
    [digest] = beneath._payloads
    beneath._payloads[digest] = beneath._payloads[digest][:-9]
    with pytest.raises(InvalidState) as caught:
        await store.load(["r"])
    assert caught.value.code == "payload-unreadable"


async def test_payloads_of_deleted_runs_are_collected_by_the_clock() -> None:
    beneath, clock, sink = Counting(), FakeClock(), CollectingSink()
    store = await opened(beneath, clock=clock, errors=sink)
    for number in range(40):
        outputs = encode_values([NamedValue("table", "", TABLE + str(number))])
        await committed(store, creating(a_run(f"r{number}", outputs=outputs)))
        await store.delete(f"r{number}")
    assert len(beneath._payloads) == 40
    await clock.advance(to=clock.now() + 1_010_000)
    assert 0 < len(beneath._payloads) < 40, "a few at a time"
    await clock.advance(to=clock.now() + 1_000_000)
    assert not beneath._payloads
    beneath.down = True
    await committed(store, creating(a_run("last", outputs=OUTPUTS)))
    await store.delete("last")
    await clock.advance(to=clock.now() + 1_010_000)
    assert [fault.operation for fault in sink.faults] == ["collect payloads"]
    beneath.down = False
    await clock.advance(to=clock.now() + 61_000_000)
    assert not beneath._payloads
    await store.close()


async def test_a_patch_of_a_sealed_row_is_sealed() -> None:
    beneath = Counting()
    store = await opened(beneath, keyring=keys())
    token = await committed(store, creating(a_run("r")))
    await committed(store, changing("r", token, RunPatch(outputs=SMALL)))
    assert is_ciphered((await loaded(beneath, "r")).run.outputs or b"")
    assert (await loaded(store, "r")).run.outputs == SMALL


async def test_many_large_payloads_are_read_a_few_at_a_time() -> None:
    beneath = Counting()
    store = await opened(beneath)
    tasks = [
        a_task(n, outputs=encode_values([NamedValue("table", "", f"{n}" + TABLE)]))
        for n in range(70)
    ]
    await committed(store, creating(a_run("r"), tasks=tasks))
    seen = await loaded(store, "r")
    assert seen.tasks[69].outputs == tasks[69].outputs
    assert beneath.asked == 2
