"""Whether a run's action log is as it was written, and its rows are what the log says.

In: a store that keeps the log, and the key if heads were signed. Out: a verdict for each run, with what
does not hold in sentences. Never: a change, or more of the log in memory than a page.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import Any

import msgspec

from ..errors import NotFound, Problem
from ..ports import LogEntry, RunQuery, Store
from ..record import (
    ACTION_LOG,
    Link,
    RunRow,
    RunRows,
    apply,
    check_entry,
    check_head,
    decode_changes,
    has_ciphered,
    has_erased,
    is_ciphered,
)
from .ledger import sign
from .travel import no_log

FAULTS = 20
"""What is told of one run at most: behind a first gap everything may be wrong."""

_PAGE = 200
_LISTED = 1000
_OF_THE_STORE = ("token", "head", "signature", "owner", "claimed")
"""They guard the log and are not part of it, or say whose the run is in this very store."""


class Verdict(msgspec.Struct, kw_only=True):
    """`seq` and `head` are where the log was held against the run's row. The values of `sealed` entries
    could not be read without their key: that they are the ones that the chain names is not known."""

    run_id: str
    seq: int = 0
    head: bytes = b""
    signature: bytes = b""
    document: bytes | None = None
    sealed: int = 0
    faults: list[str] = []

    @property
    def holds(self) -> bool:
        return not self.faults


async def verify_run(store: Store, run_id: str, key: bytes | None = None) -> Verdict:
    """Read the whole log of a run and hold it against itself, the run's rows and its document; with
    `key` the head must be signed by it. Raises NotFound, and NotSupported `no-log`.

    An engine may work on the run meanwhile: what it adds is left for the next time.
    """
    try:
        rows = (await store.load([run_id]))[0]
    except msgspec.DecodeError as error:
        return Verdict(run_id=run_id, faults=[f"its rows cannot be read: {error}"])
    if rows is None:
        raise NotFound(
            Problem(
                "run-not-found", f"there is no run '{run_id}'", fix="list the runs to find its id"
            )
        )
    run = rows.run
    if not store.keeps_log:
        raise no_log(run)
    if run.tier != ACTION_LOG and not run.head and not await store.history(run_id, 0, 1):
        raise no_log(run)  # with a log the run is verified, whatever its row says of the tier
    return await _verify(store, rows, key)


async def run_ids(store: Store) -> AsyncIterator[list[str]]:
    """The ids of all runs, oldest first, in pages."""
    query = RunQuery(newest_first=False, limit=_LISTED)
    while True:
        page = await store.runs(query)
        yield [run.run_id for run in page.runs]
        if not page.cursor:
            return
        query = msgspec.structs.replace(query, after=page.cursor)


async def read_log(store: Store, run_id: str, last: int, after: int = 0) -> AsyncIterator[LogEntry]:
    """The entries behind `after` up to number `last`, whatever is missing among them."""
    seq = after
    while page := await store.history(run_id, seq, _PAGE):
        for entry in page:
            if entry.seq > last:
                return
            yield entry
        seq = page[-1].seq


async def _verify(store: Store, rows: RunRows, key: bytes | None) -> Verdict:
    run = rows.run
    folded = _Folded(run.run_id)
    link = Link()
    faults: list[str] = []
    async for entry in read_log(store, run.run_id, run.seq):
        link, fault = check_entry(link, entry.seq, entry.at, entry.body)
        if fault:
            faults.append(fault)
        fault = folded.take(entry)
        if fault:
            faults.append(fault)
    faults += filter(None, [check_head(link, run.seq, run.head), await _beyond(store, run)])
    if not run.seq:
        faults.append("nothing of it is in the log")
    faults += folded.compare(rows)
    faults += filter(None, [await _check_document(store, run), check_signature(run, key)])
    return Verdict(
        run_id=run.run_id,
        seq=run.seq,
        head=run.head,
        signature=run.signature,
        document=run.document,
        sealed=folded.sealed,
        faults=faults if len(faults) <= FAULTS else [*faults[:FAULTS], "and more"],
    )


async def _beyond(store: Store, run: RunRow) -> str:
    """An engine may have gone on since the run was read; then its row has gone on too."""
    more = await store.history(run.run_id, run.seq, 1)
    if not more:
        return ""
    now = await store.run(run.run_id)
    if now is None or now.seq >= more[0].seq:
        return ""
    return f"the log goes on with entry {more[0].seq}, the run is at {run.seq}"


async def _check_document(store: Store, run: RunRow) -> str:
    text = await store.document(run.document)
    if text is None:
        return "its document is missing"
    if is_ciphered(text):
        return ""
    return "" if digest_of(text) == run.document else "its document was changed"


def digest_of(document: bytes) -> bytes:
    """What a run's row names its document by."""
    return blake2b(document, digest_size=16).digest()


def check_signature(run: RunRow, key: bytes | None) -> str:
    if key is None:
        return ""
    if not run.signature:
        return "its head is not signed: no engine with a key wrote it, or the signature was taken"
    if hmac.compare_digest(run.signature, sign(key, run.run_id, run.seq, run.head)):
        return ""
    return "the signature of its head is not one by this key: it was changed, or another key or none wrote last"


class _Folded:
    """The rows as the log says they are. What cannot be followed ends the folding, and is told once."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._rows: RunRows | None = None
        self._broken = False
        self._erased = False
        self.sealed = 0

    def take(self, entry: LogEntry) -> str:
        if self._broken:
            return ""
        try:
            for change in decode_changes(entry.body):
                self._rows = apply(self._rows, change)
            self._erased = self._erased or has_erased(entry.body)
            self.sealed += has_ciphered(entry.body)
        except (msgspec.DecodeError, ValueError, KeyError, AssertionError, StopIteration) as error:
            self._broken = True
            return f"entry {entry.seq}: its changes cannot be followed ({type(error).__name__})"
        return ""

    def compare(self, rows: RunRows) -> list[str]:
        """In what the rows of the store differ from what the log says."""
        if self._broken or self._rows is None:
            return []
        said = self._rows
        found = self._differ("the run", rows.run, said.run)
        for name, held, logged in (
            ("task run", rows.tasks, said.tasks),
            ("hook", rows.hooks, said.hooks),
        ):
            for number in sorted({*held, *logged}):
                what = f"{name} {number}"
                if number not in logged:
                    found.append(f"{what}: its row is in the store and not in the log")
                elif number not in held:
                    found.append(f"{what}: its row is in the log and not in the store")
                else:
                    found += self._differ(what, held[number], logged[number])
        return found

    def _differ(self, what: str, held: Any, logged: Any) -> list[str]:
        return [
            f"{what}: `{field}` is not what the log says"
            for field in held.__struct_fields__
            if field not in _OF_THE_STORE
            and getattr(held, field) != getattr(logged, field)
            and not (self._erased and _is_erased(getattr(held, field), getattr(logged, field)))
            and not (self.sealed and _is_sealed(getattr(logged, field)))
        ]


def _is_sealed(logged: Any) -> bool:
    return isinstance(logged, bytes) and is_ciphered(logged)


def _is_erased(held: Any, logged: Any) -> bool:
    """A payload that the log has no longer may stand in the row, or be gone there too."""
    return logged is None and (held is None or isinstance(held, bytes))
