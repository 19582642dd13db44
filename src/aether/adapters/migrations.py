"""Rules of migrations that every SQL dialect shares: which there are, and which are still to come.

In: a directory of numbered .sql files, and what a database says was applied. Out: those to apply, in
order, or the reason why nobody may go on. Never: a connection, or SQL of any dialect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib.resources.abc import Traversable

import msgspec

from ..errors import EngineBug, Problem, Refused

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema. Once released its text never changes: `checksum` tells if it did."""

    number: int
    name: str
    text: str
    checksum: str


class Applied(msgspec.Struct, frozen=True):
    """A migration as the database remembers it."""

    number: int
    name: str
    checksum: str


def read_migrations(directory: Traversable) -> Sequence[Migration]:
    """All migrations of a directory, in order, counted from 1 without a gap."""
    found: list[Migration] = []
    for file in directory.iterdir():
        match = _FILE.fullmatch(file.name)
        if match is None:
            continue
        text = file.read_text("utf-8").replace("\r\n", "\n")
        checksum = sha256(text.encode()).hexdigest()
        found.append(Migration(int(match[1]), match[2], text, checksum))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise EngineBug(f"the migrations in {directory} are not numbered 1, 2, 3 …")
    return found


def still_to_apply(
    known: Sequence[Migration], applied: Iterable[Applied], where: str
) -> Sequence[Migration]:
    """What is missing in the database called `where`. Raises Refused `store-newer` for a database that
    a later version has migrated, and `store-migration-changed` where the two disagree about the past."""
    done = sorted(applied, key=lambda each: each.number)
    if done and done[-1].number > len(known):
        raise Refused(
            Problem(
                "store-newer",
                f"{where} was written by a newer version of Aether: its schema is number"
                f" {done[-1].number}, this version knows {len(known)}",
                fix="use that version again, or restore the backup made before the upgrade",
            )
        )
    for place, (each, migration) in enumerate(zip(done, known, strict=False), 1):
        if (each.number, each.checksum) != (place, migration.checksum):
            raise Refused(
                Problem(
                    "store-migration-changed",
                    f"{where} was migrated with another text of {migration.number:04}"
                    f"_{migration.name} than this version holds",
                    fix="use the version that wrote it, or `aether db export` with that version"
                    " and import here",
                )
            )
    return known[len(done) :]
