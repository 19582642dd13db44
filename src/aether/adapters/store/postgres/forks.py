"""Where the new runs of a batch come from, noted by the statement that carries the batch out.

In: a statement, its values, and commits in the order of the batch. Out: the statement and values that note
the forks among them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....ports import Commit
from ....record import RunRow
from .sql import statements


def with_forks(
    sql: str, values: tuple[Any, ...], commits: Sequence[Commit], keeps_log: bool
) -> tuple[str, tuple[Any, ...]]:
    """The same two if none of them is one."""
    found = [
        (place, commit.shares and keeps_log, origin)
        for place, commit in enumerate(commits, 1)
        if isinstance(commit.run, RunRow) and (origin := commit.run.origin) is not None
    ]
    if not found:
        return sql, values
    noted = (
        [commit.run_id for commit in commits],
        [place for place, _, _ in found],
        [origin.root for _, _, origin in found],
        [origin.run_id for _, _, origin in found],
        [origin.seq if shares else None for _, shares, origin in found],
    )
    names = ", ".join(f"${len(values) + n}" for n in range(1, len(noted) + 1))
    text = statements("commits")["begin_forks"].format(commit=sql, values=names)
    return text, (*values, *noted)
