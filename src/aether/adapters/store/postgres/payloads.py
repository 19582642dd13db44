"""Payloads of a batch, kept by the statement that carries the batch out.

In: a statement, its values, and commits in the order of the batch. Out: the statement and values that
keep their payloads too. Never: a digest twice for one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....ports import Commit
from .sql import statements


def with_payloads(
    sql: str, values: tuple[Any, ...], commits: Sequence[Commit]
) -> tuple[str, tuple[Any, ...]]:
    """The same two if no commit brings any."""
    if not any(commit.payloads for commit in commits):
        return sql, values
    found = {
        (payload.digest, place): payload.data
        for place, commit in enumerate(commits, 1)
        for payload in commit.payloads
    }
    ordered = sorted(found)
    brought = (
        [commit.run_id for commit in commits],
        [place for _, place in ordered],
        [digest for digest, _ in ordered],
        [found[each] for each in ordered],
    )
    names = ", ".join(f"${len(values) + n}" for n in range(1, len(brought) + 1))
    text = statements("commits")["bring_payloads"].format(commit=sql, values=names)
    return text, (*values, *brought)
