"""Payloads, as a store: large values lie beside the rows, once, and all of them sealed if there is a key.

In: what every Store is told, values and all. Out: what a Store answers, values in their places. Beneath,
rows and log entries hold cells (`record.cells`), and a commit brings the pieces that they refer to.
Never: a change of what it was handed, a value decoded, or a payload read for a listing.

Calls that carry no payload go straight to the store beneath.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from ..ports import (
    Clock,
    Commit,
    CommitOutcome,
    Committed,
    Conflict,
    ErrorSink,
    LogEntry,
    Offload,
    Page,
    RunQuery,
    Store,
)
from ..record import (
    PAYLOADS,
    CronRow,
    RunRow,
    RunRows,
    TemplateRow,
    Token,
    is_cell,
    is_ciphered,
)
from .collecting import Collecting
from .faults import Faults
from .keyring import Keyring
from .packing import DOCUMENT, Packing, Unpacking

THRESHOLD = 65_536
"""Bytes above which a value lies beside its row."""

_SLOW = 262_144
"""Bytes above which values are compressed and sealed in a thread."""

_KNOWN = 4096  # payloads remembered as brought by their run already
_FETCHED = 64  # payloads read in one call, or fewer
_FETCHED_BYTES = 32 << 20

T = TypeVar("T")


class PayloadStore:
    """`threshold` is what a value may have to stay in its row. `keyring` seals values at rest. `offload`
    takes large values off the loop; `clock` says when payloads that no run names any more are collected:
    without it they are not, except by `collect`.

    Without `values` rows come with None for all that does not stand in them as it is. With `blind` so do
    they for what is sealed, if there is no keyring, and the log and documents come as they are, for those
    who look at the chain alone.
    """

    def __init__(
        self,
        store: Store,
        *,
        threshold: int = THRESHOLD,
        keyring: Keyring | None = None,
        offload: Offload | None = None,
        clock: Clock | None = None,
        errors: ErrorSink | None = None,
        values: bool = True,
        blind: bool = False,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._with_values = values
        self._offload = offload
        self._packing = Packing(threshold, keyring)
        self._unpacking = Unpacking(keyring, blind)
        self._collecting = None
        if clock is not None:
            self._collecting = Collecting(store, clock, Faults(errors))
        self._known: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @property
    def beneath(self) -> Store:
        return self._store

    @property
    def keeps_payloads(self) -> bool:
        """Whoever calls hands in whole values, and gets them."""
        return False

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return {}

    async def open(self) -> None:
        if self._keyring is not None:
            await self._keyring.open()  # first: a store that is open is locked
        await self._store.open()
        self._packing.keeps = self._store.keeps_payloads
        if self._collecting is not None and self._store.keeps_payloads:
            self._collecting.start()

    async def close(self) -> None:
        if self._collecting is not None:
            await self._collecting.stop()
        await self._store.close()

    # Commits

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        packing = self._packing
        size = 0
        for commit in batch:
            size += packing.work(commit)
        if not size:
            return await self._store.commit(batch)

        def pack() -> list[Commit]:
            return [
                packing.commit(commit, self._known) if packing.work(commit) else commit
                for commit in batch
            ]

        packed = await self._away(pack, size)
        outcomes = await self._store.commit(packed)
        for commit, outcome in zip(packed, outcomes, strict=False):
            if isinstance(outcome, Committed):
                for payload in commit.payloads:
                    self._known[commit.run_id, payload.digest] = None
            elif isinstance(outcome, Conflict) and commit.payloads:
                self._forget(commit.run_id)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return outcomes

    async def _away(self, work: Callable[[], T], size: int) -> T:
        if self._offload is None or size <= _SLOW:
            return work()
        return await self._offload(work)

    def _forget(self, run_id: str) -> None:
        for key in [key for key in self._known if key[0] == run_id]:
            del self._known[key]

    async def delete(self, run_id: str) -> bool:
        self._forget(run_id)
        existed = await self._store.delete(run_id)
        if existed and self._collecting is not None:
            self._collecting.soon()
        return existed

    # Cells

    async def _values(self, cells: Sequence[bytes], context: bytes = b"") -> dict[bytes, bytes]:
        """The value of each cell. Raises what a key or a payload that is missing raises."""
        unpacking = self._unpacking
        if self._keyring is not None:
            await self._keyring.fetch(unpacking.keys_of(cells))
        size = sum(map(len, cells))
        opened = await self._away(lambda: unpacking.opened(cells, context), size)
        references = unpacking.references(opened.values())
        kept: dict[bytes, bytes] = {}
        for digests in _portions(references):
            found = await self._store.payloads(digests)
            if self._keyring is not None:
                await self._keyring.fetch(unpacking.keys_of(found.values()))
            kept.update(
                await self._away(
                    lambda found=found: unpacking.payloads(found, references),  # type: ignore[misc]
                    sum(map(len, found.values())),
                )
            )
        return {cell: unpacking.joined(inner, kept) for cell, inner in opened.items()}

    async def _restore(self, rows: Sequence[Any]) -> None:
        """Values in the places of their cells, in rows that are nobody else's."""
        places = [
            (row, field, value)
            for row in rows
            for field in PAYLOADS[type(row)]
            if (value := getattr(row, field)) is not None and is_cell(value)
        ]
        if places and not self._with_values:
            for row, field, _ in places:
                setattr(row, field, None)
        elif places:
            values = await self._values([value for _, _, value in places])
            for row, field, value in places:
                told = values[value]
                setattr(row, field, None if is_ciphered(told) else told)

    # Runs

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        found = await self._store.load(run_ids)
        for rows in found:
            if rows is not None:
                await self._restore([rows.run, *rows.tasks.values(), *rows.hooks.values()])
        return found

    async def run(self, run_id: str) -> RunRow | None:
        row = await self._store.run(run_id)
        if row is not None:
            await self._restore([row])
        return row

    async def runs(self, query: RunQuery) -> Page:
        """Values that do not stand in the row as they are come as None: a listing reads no payload."""
        page = await self._store.runs(query)
        _drop_cells(page.runs)
        return page

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]:
        """A listing too."""
        found = await self._store.forks(roots)
        _drop_cells(found)
        return found

    async def document(self, digest: bytes) -> bytes | None:
        return await self._document(await self._store.document(digest))

    async def _document(self, text: bytes | None) -> bytes | None:
        if text is None or not is_cell(text):
            return text
        return (await self._values([text], DOCUMENT))[text]

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        entries = await self._store.history(run_id, after_seq, limit)
        packed = [entry for entry in entries if is_cell(entry.body)]
        if not packed:
            return entries
        cells = [cell for entry in packed for cell in self._unpacking.cells_of(entry.body)]
        values = await self._values(cells)
        for entry in packed:
            entry.body = self._unpacking.entry(entry.body, values)
        return entries

    # Definitions and messages: too few or too short-lived to lie elsewhere, but sealed like the rest

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        sealed = self._packing.document(row.document)
        return await self._store.put_cron(replace(row, document=sealed), expected)

    async def cron(self, cron_id: str) -> CronRow | None:
        row = await self._store.cron(cron_id)
        return None if row is None else await self._readable(row)

    async def crons(self) -> Sequence[CronRow]:
        return [await self._readable(row) for row in await self._store.crons()]

    async def put_template(self, row: TemplateRow) -> None:
        sealed = self._packing.document(row.document)
        await self._store.put_template(replace(row, document=sealed))

    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        row = await self._store.template(name, version)
        return None if row is None else await self._readable(row)

    async def templates(self, name: str = "") -> Sequence[TemplateRow]:
        return [await self._readable(row) for row in await self._store.templates(name)]

    async def _readable(self, row: Any) -> Any:
        text = await self._document(row.document)
        return row if text is row.document else replace(row, document=text)

    async def post(self, messages: Sequence[Any]) -> Sequence[Any]:
        sealed = [replace(each, body=self._packing.whole(each.body)) for each in messages]
        return cast("Sequence[Any]", await self._store.post(sealed))

    async def inbox(self, session: int, limit: int = 256) -> Sequence[Any]:
        found = await self._store.inbox(session, limit)
        values = await self._values([each.body for each in found if is_cell(each.body)])
        return [replace(each, body=values.get(each.body, each.body)) for each in found]

    async def answers(self, run_id: str, keys: Sequence[str]) -> Sequence[bytes | None]:
        found = await self._store.answers(run_id, keys)
        values = await self._values([each for each in found if each is not None and is_cell(each)])
        return [None if each is None else values.get(each, each) for each in found]


def _portions(sizes: Mapping[bytes, int]) -> Iterator[list[bytes]]:
    """Digests in lists that a store can answer at once."""
    portion: list[bytes] = []
    total = 0
    for digest, size in sizes.items():
        if portion and (len(portion) >= _FETCHED or total + size > _FETCHED_BYTES):
            yield portion
            portion, total = [], 0
        portion.append(digest)
        total += size
    if portion:
        yield portion


def _drop_cells(rows: Sequence[RunRow]) -> None:
    for row in rows:
        for field in PAYLOADS[RunRow]:
            value = getattr(row, field)
            if value is not None and is_cell(value):
                setattr(row, field, None)


def with_payloads(store: Store, **settings: Any) -> Store:
    """`store` with a PayloadStore before it."""
    return cast(Store, PayloadStore(store, **settings))
