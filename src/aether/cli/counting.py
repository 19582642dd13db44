"""A bar on the terminal for work that may take long. Never: a character where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ..engine import run_ids
from ..ports import Store


@contextmanager
def bar(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """`advance(n)` for work of `length` pieces, shown on standard error: output stays clean."""
    if not sys.stderr.isatty():
        yield lambda n: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, show_pos=True) as shown:
        yield shown.update


async def count_runs(store: Store) -> int:
    """How many there are, for the bar; 0, without a look, where no bar is shown."""
    if not sys.stderr.isatty():
        return 0
    return sum([len(page) async for page in run_ids(store)])
