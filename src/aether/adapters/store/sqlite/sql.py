"""The .sql files of this room, as named statements.

In: files. Out: texts by name, and the same text for many rows at once. Never: text made from values.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from ...named_sql import read_statements

_ROWS = re.compile(r"rows(\([?, ]+\))")


def _room() -> Traversable:
    return files(__package__ or __name__)


def migrations() -> Traversable:
    """The directory of the migrations."""
    return _room() / "migrations"


def schema() -> str:
    """The whole schema, for reading."""
    return (_room() / "schema.sql").read_text("utf-8")


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of one file, by name."""
    return read_statements((_room() / "statements" / f"{file}.sql").read_text("utf-8"))


@cache
def for_rows(file: str, name: str, count: int) -> str:
    """A statement that says `rows(…)`, for `count` rows."""
    return _ROWS.sub(lambda match: ", ".join([match[1]] * count), statements(file)[name])
