"""Listings over two stores as if they were one.

In: two stores, and the ids of which the first has the newer rows. Out: pages, in order, with no run twice.
Never: more than a page of each kept.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection

import msgspec
from msgspec.structs import replace

from ..errors import Problem, Refused
from ..ports import DueRun, Page, RunQuery, Store
from ..record import Instant, RunRow

_Place = tuple[Instant, str]
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[tuple[str, str, _Place]] = msgspec.json.Decoder(
    tuple[str, str, _Place]
)


class _Source:
    """The runs of one store behind `last`, page by page. Cursors only spare the way: a run may move from
    one store to the other between two pages, so each is measured against `last`."""

    def __init__(
        self,
        store: Store,
        query: RunQuery,
        cursor: str,
        last: _Place | None,
        hidden: Collection[str],
    ) -> None:
        self._store = store
        self._query = query
        self._cursor = cursor  # where the page at hand begins
        self._last = last
        self._hidden = hidden
        self._page: Page | None = None
        self._at = 0

    async def next(self) -> RunRow | None:
        """The next run, which stays the next one until `take`."""
        while True:
            if self._page is None:
                self._page = await self._store.runs(replace(self._query, after=self._cursor))
            while self._at < len(self._page.runs):
                row = self._page.runs[self._at]
                if row.run_id not in self._hidden and self._is_new(row):
                    return row
                self._at += 1
            if not self._page.cursor:
                return None
            self._cursor, self._page, self._at = self._page.cursor, None, 0

    def _is_new(self, row: RunRow) -> bool:
        if self._last is None:
            return True
        place = row.created_at, row.run_id
        return place < self._last if self._query.newest_first else place > self._last

    async def has_more(self) -> bool:
        """Where nothing is hidden the store's own word is enough, and no page is read to see it."""
        if self._page is not None and not self._hidden and self._at == len(self._page.runs):
            return bool(self._page.cursor)
        return await self.next() is not None

    def take(self) -> None:
        self._at += 1

    async def cursor(self) -> str:
        """One that leads to what was not taken, or to a little more."""
        if self._page is None or not self._at:
            return self._cursor
        if self._at == len(self._page.runs):
            return self._page.cursor or self._cursor
        page = await self._store.runs(replace(self._query, after=self._cursor, limit=self._at))
        return page.cursor or self._cursor


async def merged_runs(near: Store, far: Store, newer: Collection[str], query: RunQuery) -> Page:
    """`near` has the newest of the runs in `newer`; what `far` says of those is hidden."""
    near_cursor, far_cursor, last = _read(query.after)
    first = _Source(near, query, near_cursor, last, ())
    # In this order: a run that moves to `far` meanwhile is taken from here, and hidden there.
    await first.next()
    second = _Source(far, query, far_cursor, last, newer)
    found: list[RunRow] = []
    while len(found) < query.limit:
        a, b = await first.next(), await second.next()
        if a is None and b is None:
            return Page(found)
        from_first = b is None or (a is not None and _comes_first(a, b, query.newest_first))
        source, row = (first, a) if from_first else (second, b)
        source.take()
        assert row is not None, "one of the two has a run"
        found.append(row)
    if not await first.has_more() and not await second.has_more():
        return Page(found)
    place = found[-1].created_at, found[-1].run_id
    text = _encode((await first.cursor(), await second.cursor(), place))
    return Page(found, urlsafe_b64encode(text).decode().rstrip("="))


async def whole_page(store: Store, query: RunQuery) -> Page:
    """A page as long as its limit, or all there is: a store may give it in pieces."""
    page = await store.runs(query)
    while page.cursor and len(page.runs) < query.limit:
        left = query.limit - len(page.runs)
        more = await store.runs(replace(query, after=page.cursor, limit=left))
        page = Page(page.runs + more.runs, more.cursor)
    return page


def _comes_first(a: RunRow, b: RunRow, newest_first: bool) -> bool:
    return ((a.created_at, a.run_id) > (b.created_at, b.run_id)) is newest_first


def _read(cursor: str) -> tuple[str, str, _Place | None]:
    if not cursor:
        return "", "", None
    try:
        return _decoder.decode(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.DecodeError) as exc:
        raise Refused(
            Problem(
                "bad-cursor",
                f"'{cursor[:80]}' is no cursor of a list of runs",
                fix="leave `after` out, or give the cursor that came with the page before",
            )
        ) from exc


async def merged_unfinished(
    near: Store, far: Store, newer: Collection[str], after: str, limit: int
) -> list[DueRun]:
    found = list(await near.unfinished(after, limit))
    behind, others = after, 0
    while others < limit:
        page = await far.unfinished(behind, limit)
        strangers = [due for due in page if due.run_id not in newer]
        found += strangers
        others += len(strangers)
        if len(page) < limit:
            break
        behind = page[-1].run_id
    return sorted(found, key=lambda due: due.run_id)[:limit]
