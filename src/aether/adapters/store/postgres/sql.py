"""The .sql files of this room, as named statements.

In: files. Out: texts by name. Never: text made from values.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from ...named_sql import read_statements


def _room() -> Traversable:
    return files(__package__ or __name__)


def migrations() -> Traversable:
    """The directory of the migrations."""
    return _room() / "migrations"


def schema() -> str:
    """The whole schema, for reading."""
    parts = ("schema.sql", "schema_shared.sql")
    return "\n".join((_room() / part).read_text("utf-8") for part in parts)


@cache
def statements(file: str) -> dict[str, str]:
    """The statements of one file, by name. A line `-- name: sentence` begins one."""
    return read_statements((_room() / "statements" / f"{file}.sql").read_text("utf-8"))
