"""What the check of the action log finds, run over what a real engine wrote."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from aether.adapters.store import MemoryStore
from aether.engine import export_lines, import_lines, run_ids, verify_run
from aether.errors import InvalidState, NotFound, NotSupported, Refused
from aether.ports import LogEntry
from aether.record import Phase, erase_payloads
from aether.testing.rows import a_run, committed, creating
from unit.engine.engine_world import World, two_tasks

KEY = b"a key for tests"


@dataclasses.dataclass
class Tampered:
    """A store that answers for another one, but not the whole truth."""

    store: MemoryStore
    log: list[LogEntry]
    rows: object = None
    text: bytes | None = None
    keeps_log: bool = True

    async def load(self, ids):
        return [self.rows] if self.rows is not None else await self.store.load(ids)

    async def run(self, run_id):
        return await self.store.run(run_id)

    async def document(self, digest):
        return self.text or await self.store.document(digest)

    async def history(self, run_id, after_seq=0, limit=1000):
        return [entry for entry in self.log if entry.seq > after_seq][:limit]


async def a_finished_run(**ports):
    """A store with the run `r`, which an engine brought to its end."""
    async with World(**ports) as world:
        await world.submit(two_tasks(), run_id="r")
        await world.complete("first", answer=1)
        await world.complete("second", answer="a long enough answer")
    return world.store


@pytest.fixture
async def tampered():
    store = await a_finished_run()
    return Tampered(store, list(await store.history("r")))


def swapped(log, a, b):
    """The bodies of two entries in each other's places."""
    log[a], log[b] = (
        msgspec.structs.replace(log[a], body=log[b].body),
        msgspec.structs.replace(log[b], body=log[a].body),
    )


async def faults(store, key=None):
    return (await verify_run(store, "r", key)).faults


async def test_log_that_nobody_touched_holds(tampered) -> None:
    verdict = await verify_run(tampered, "r")
    assert verdict.holds
    assert verdict.seq == len(tampered.log) > 2
    assert verdict.head == (await tampered.run("r")).head


async def test_unfinished_run_holds_too() -> None:
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        await world.complete("first")
        assert await faults(world.store) == []


async def test_an_edited_entry_is_found(tampered) -> None:
    body = tampered.log[1].body
    place = body.index(b"Running") if b"Running" in body else len(body) // 2
    changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    tampered.log[1] = msgspec.structs.replace(tampered.log[1], body=changed)
    assert any("entry" in fault for fault in await faults(tampered))


async def test_a_missing_entry_is_found(tampered) -> None:
    del tampered.log[1]
    found = await faults(tampered)
    assert found[0] == "entry 3: a gap, 2 missing"


async def test_entries_that_changed_places_are_found(tampered) -> None:
    swapped(tampered.log, 1, 2)
    found = await faults(tampered)
    assert "entry 2: it says that it is entry 3 of another place or time" in found


async def test_a_cut_tail_is_found(tampered) -> None:
    last = tampered.log.pop().seq
    found = await faults(tampered)
    assert f"the tail is cut: the last entry is {last - 1}, the run is at {last}" in found


async def test_an_entry_that_was_put_behind_the_end_is_found(tampered) -> None:
    last = tampered.log[-1]
    tampered.log.append(LogEntry(last.seq + 1, last.at, last.body))
    assert await faults(tampered) == [
        f"the log goes on with entry {last.seq + 1}, the run is at {last.seq}"
    ]


async def test_what_an_engine_adds_meanwhile_is_no_fault(tampered) -> None:
    held = (await tampered.load(["r"]))[0]
    early = tampered.log[:2]
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        begun = (await world.store.load(["r"]))[0]
        reader = Tampered(world.store, [], rows=begun)
        await world.complete("first")
        reader.log = list(await world.store.history("r"))
        assert len(reader.log) > begun.run.seq
        assert await faults(reader) == []
    assert held.run.seq > len(early)


async def test_a_changed_payload_is_found(tampered) -> None:
    log = tampered.log
    place = next(i for i, entry in enumerate(log) if b"long enough" in entry.body)
    body = log[place].body.replace(b"long enough", b"other words")
    log[place] = msgspec.structs.replace(log[place], body=body)
    found = await faults(tampered)
    assert f"entry {place + 1}: a payload was changed" in found
    assert any("`outputs` is not what the log says" in fault for fault in found)


async def test_rows_that_differ_from_the_log_are_found(tampered) -> None:
    rows = (await tampered.load(["r"]))[0]
    rows.run.phase = Phase.FAILED
    rows.tasks[1].retry_count = 7
    del rows.tasks[2]
    tampered.rows = rows
    assert await faults(tampered) == [
        "the run: `phase` is not what the log says",
        "task run 1: `retry_count` is not what the log says",
        "task run 2: its row is in the log and not in the store",
    ]


async def test_a_row_that_the_log_never_told_of_is_found(tampered) -> None:
    rows = (await tampered.load(["r"]))[0]
    rows.tasks[9] = msgspec.structs.replace(rows.tasks[0], ordinal=9)
    tampered.rows = rows
    assert await faults(tampered) == ["task run 9: its row is in the store and not in the log"]


async def test_a_changed_document_is_found(tampered) -> None:
    tampered.text = b"{}"
    assert await faults(tampered) == ["its document was changed"]


async def test_many_faults_are_told_in_part(tampered) -> None:
    rows = (await tampered.load(["r"]))[0]
    for ordinal in range(100, 200):
        rows.tasks[ordinal] = msgspec.structs.replace(rows.tasks[0], ordinal=ordinal)
    tampered.rows = rows
    found = await faults(tampered)
    assert (len(found), found[-1]) == (21, "and more")


async def test_erased_payloads_leave_the_chain_whole(tampered) -> None:
    tampered.log = [
        msgspec.structs.replace(entry, body=erase_payloads(entry.body)) for entry in tampered.log
    ]
    assert await faults(tampered) == []


async def test_signed_head_holds_under_its_key_and_no_other() -> None:
    store = await a_finished_run(audit_key=KEY)
    assert await faults(store, KEY) == []
    assert await faults(store) == []
    (fault,) = await faults(store, b"another key")
    assert fault.startswith("the signature of its head is not one by this key")


async def test_missing_signature_is_found_when_there_is_a_key(tampered) -> None:
    (fault,) = await faults(tampered, KEY)
    assert fault.startswith("its head is not signed")


async def test_chain_written_anew_without_the_key_is_found() -> None:
    """Whoever can write the database can make a chain that holds; its signature cannot be made."""
    signed = (await a_finished_run(audit_key=KEY), await a_finished_run())
    rows = (await signed[1].load(["r"]))[0]
    rows.run.signature = (await signed[0].run("r")).signature
    rows.run.message = ""
    forged = Tampered(signed[1], list(await signed[1].history("r")), rows=rows)
    assert await faults(forged) == []
    rows.run.head = bytes(32)
    assert any("signature" in fault for fault in await faults(forged, KEY))


async def test_store_without_a_log_and_unknown_runs_are_told_as_problems() -> None:
    store = MemoryStore(history=False)
    await store.open()
    await committed(store, creating(a_run("r", seq=1)))
    with pytest.raises(NotSupported, match="no-log"):
        await verify_run(store, "r")
    store = MemoryStore(history=True)
    await store.open()
    with pytest.raises(NotFound, match="run-not-found"):
        await verify_run(store, "r")
    assert [page async for page in run_ids(store)] == [[]]


async def test_run_of_another_tier_has_nothing_to_verify() -> None:
    store = MemoryStore(history=True)
    await store.open()
    await committed(store, creating(a_run("r", seq=3, tier="snapshot")))
    with pytest.raises(NotSupported, match="snapshot"):
        await verify_run(store, "r")


async def test_log_is_verified_whatever_the_row_says_of_the_tier(tampered) -> None:
    rows = (await tampered.load(["r"]))[0]
    rows.run.tier = "snapshot"
    tampered.rows = rows
    assert await faults(tampered) == ["the run: `tier` is not what the log says"]


# Export and import


async def exported(store):
    return [line async for line in export_lines(store, "r")]


async def empty_store():
    store = MemoryStore(history=True)
    await store.open()
    return store


async def test_imported_run_equals_the_exported_one_row_by_row() -> None:
    source, target = await a_finished_run(audit_key=KEY), await empty_store()
    await import_lines(target, await exported(source))
    (a,), (b,) = await source.load(["r"]), await target.load(["r"])
    b.run.token, b.run.owner = a.run.token, a.run.owner
    assert a == b
    assert await source.history("r") == await target.history("r")
    assert await source.document(a.run.document) == await target.document(a.run.document)
    assert await faults(target, KEY) == []


async def test_lines_can_be_read_without_aether() -> None:
    header, *lines = map(msgspec.json.decode, await exported(await a_finished_run()))
    assert (header["format"], header["version"], header["runId"]) == ("aether-audit", 1, "r")
    assert header["seq"] == len(lines)
    assert "aether/v1" in header["document"]
    first = lines[0]["changes"][0]
    assert (first["change"], first["run_id"]) == ("run+", "r")
    told = [change for line in lines for change in line["changes"]]
    assert any(change.get("outputs") == [["answer", "", 1, None]] for change in told)


async def test_second_import_changes_nothing() -> None:
    source, target = await a_finished_run(), await empty_store()
    lines = await exported(source)
    await import_lines(target, lines)
    before = await target.load(["r"])
    assert (await import_lines(target, lines)).run_id == "r"
    assert await target.load(["r"]) == before


async def test_run_with_another_head_is_not_overwritten() -> None:
    lines = await exported(await a_finished_run())
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        with pytest.raises(Refused, match="run-exists"):
            await import_lines(world.store, lines)


async def test_import_that_was_stopped_half_way_is_done_anew() -> None:
    source, target = await a_finished_run(), await empty_store()
    lines = await exported(source)
    commit, made = target.commit, []

    async def breaks(batch):
        made.append(batch)
        if len(made) == 3:
            raise ConnectionError
        return await commit(batch)

    target.commit = breaks
    with pytest.raises(ConnectionError):
        await import_lines(target, lines)
    assert list(await target.unfinished()) == [], "no engine takes up half a run"
    target.commit = commit
    await import_lines(target, lines)
    assert await faults(target) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: lines[:-1], "the tail is cut"),
        (lambda lines: [lines[0], *lines[2:]], "a gap"),
        (lambda lines: [*lines[:2], b'{"seq": 2', *lines[2:]], "no entry of a log"),
        (lambda lines: [lines[0].replace(b"example", b"exemple"), *lines[1:]], "document"),
        (
            lambda lines: [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]],
            "known here",
        ),
        (lambda lines: lines[1:], "header"),
        (lambda lines: [], "header"),
        (lambda lines: [lines[0].replace(b'"r"', b'"s"'), *lines[1:]], "another run"),
    ],
)
async def test_damaged_file_leaves_no_trace(damage, says) -> None:
    lines, target = await exported(await a_finished_run()), await empty_store()
    with pytest.raises(Refused, match="bad-audit-file") as refused:
        await import_lines(target, damage(lines), "run.jsonl")
    assert says in str(refused.value)
    assert await target.run("r") is None
    assert await target.run("s") is None


async def test_unfinished_run_is_exported_but_not_imported() -> None:
    async with World() as world:
        await world.submit(two_tasks(), run_id="r")
        lines = await exported(world.store)
    with pytest.raises(Refused, match="run-active"):
        await import_lines(await empty_store(), lines)


async def test_broken_log_is_not_exported(tampered) -> None:
    tampered.log.pop()
    with pytest.raises(InvalidState, match="audit-broken"):
        await exported(tampered)
