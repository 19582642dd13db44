"""How a store goes through its runs for a page: which of them it reads, and when it stops.

In: queries, rows in order. Out: the indexes to follow with what must hold there, and pages. Never: SQL
of one dialect, except conditions that all of them read alike.

What an index answers is asked of it; the rest is judged row by row by `matches`, the same for every
store. So that no page takes long where few runs match, no more than LOOKED_AT rows are judged for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..ports import Page, RunQuery
from ..record import Phase, RunRow
from .store_rules import Place, matches, place, read_cursor, write_cursor

LOOKED_AT = 2_000
FEW = 5_000
"""So many runs are sorted for a page where their index does not give the order."""

_GROWTH = 3
_LONGEST_TERM = 200
_UNSUCCESSFUL = {Phase.FAILED, Phase.ERROR, Phase.TIMEOUT, Phase.CANCELLED}
_LAST_CHARACTER = "\U0010ffff"


class Branch(NamedTuple):
    """Runs that one index finds. `{}` in a condition stands for the next of `values`. An index that holds
    a part of the runs is chosen only with its own condition spelled out, word for word."""

    through: str
    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()


def few(query: RunQuery) -> Branch | None:
    """Runs among which all those asked for are, if there are not more than FEW of them."""
    if query.id_prefix:
        ids = (query.id_prefix, query.id_prefix + _LAST_CHARACTER)
        return Branch("run_by_id", ("run_id >= {}", "run_id < {}"), ids)
    if query.phases and not any(phase.is_terminal for phase in query.phases):
        return Branch("run_open", ("open = {open}",))
    return None


def branches(query: RunQuery) -> list[Branch]:
    """Together they hold all runs asked for, each in the order of listings."""
    if query.cron_id:
        return [Branch("run_by_cron", ("cron_id <> ''", "cron_id = {}"), (query.cron_id,))]
    if query.labels:
        terms = min(label_terms(query.labels))
        return [Branch("run_label", ("label = {}", "value = {}"), terms)]
    if query.phases and set(query.phases) <= _UNSUCCESSFUL:
        phases = sorted({phase.value for phase in query.phases})
        conditions = ("failed IS NOT NULL", "failed = {}")
        return [Branch("run_unsuccessful", conditions, (each,)) for each in phases]
    if query.name:
        return [Branch("run_by_name", ("name = {}",), (query.name,))]
    return [Branch("run_by_creation")]


def label_terms(labels: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Labels as an index can hold them: it takes no text of any length, and one server no zero character.
    Two labels may have the same term; `matches` tells them apart."""
    return [(_term(name), _term(value)) for name, value in (labels or {}).items()]


def _term(text: str) -> str:
    return text[:_LONGEST_TERM].replace("\0", " ")


def within(branch: Branch, query: RunQuery, behind: Place | None) -> Branch:
    """`branch` without what the times of the query and the pages before leave out."""
    conditions, values = list(branch.conditions), list(branch.values)

    def must(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if query.created_from is not None:
        must("created_at >= {}", query.created_from)
    ends = [end for end in (query.created_to, query.finished_to) if end is not None]
    if ends:  # no run ends before it was created
        must("created_at < {}", min(ends))
    if behind is not None:
        sign = "<" if query.newest_first else ">"
        must("(created_at, run_id) " + sign + " ({}, {})", *behind)
    return Branch(branch.through, tuple(conditions), tuple(values))


class Gathering:
    """A page in the making: rows go in, in order."""

    def __init__(self, query: RunQuery) -> None:
        self.query = query
        self.behind = read_cursor(query.after)  # where the rows to read next begin
        self.found: list[RunRow] = []
        self._looked_at = 0
        self._most = max(LOOKED_AT, query.limit + 1)

    @property
    def wanted(self) -> int:
        """How many rows to read next: few, until it turns out that few of them match."""
        first = self.query.limit + 1
        return min(max(first, self._looked_at * _GROWTH), self._most - self._looked_at)

    def take(self, row: RunRow) -> bool:
        """True if the page is done and `row` may not be the last of all."""
        if matches(row, self.query):
            if len(self.found) == self.query.limit:
                self.behind = place(self.found[-1])
                return True
            self.found.append(row)
        self.behind = place(row)
        self._looked_at += 1
        return self._looked_at >= self._most

    def read(self, rows: Sequence[RunRow], asked: int) -> Page | None:
        """The page, if these rows of the next `asked` are enough for it."""
        for row in rows:
            if self.take(row):
                return self.page()
        return self.end() if len(rows) < asked else None

    def page(self) -> Page:
        return Page(self.found, write_cursor(self.behind) if self.behind else "")

    def end(self) -> Page:
        return Page(self.found)


def in_order(rows: Sequence[RunRow], query: RunQuery, most: int) -> list[RunRow]:
    """Rows of several branches as one, at most `most`."""
    return sorted(rows, key=place, reverse=query.newest_first)[:most]
