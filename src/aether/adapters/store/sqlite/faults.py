"""What SQLite's errors mean to whoever called.

In: apsw's exceptions. Out: ours, which say what went wrong, where, and what to do. Never: one swallowed.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from ....errors import AetherError, CommitUnknown, Problem, Refused, StoreUnavailable

BROKEN = (apsw.CorruptError, apsw.NotADBError)


def corrupt(path: Path, exc: BaseException) -> Refused:
    return Refused(
        Problem(
            "store-corrupt",
            f"{path} is damaged, or no SQLite database: {exc}",
            fix="nothing was overwritten: copy the file, look with `aether db check`, restore a backup",
        )
    )


def read_only(path: Path) -> Refused:
    return Refused(
        Problem(
            "store-read-only",
            f"{path} was opened to read only",
            fix="send the change to the engine that has the database open",
        )
    )


def unavailable(path: Path, exc: BaseException) -> StoreUnavailable:
    if isinstance(exc, apsw.FullError):
        return StoreUnavailable(f"there is no space left for {path}; nothing was written")
    return StoreUnavailable(f"{path} cannot be used: {exc}")


def commit_failure(path: Path, exc: apsw.Error) -> AetherError:
    """Of a COMMIT itself. Space that is missing is missed before the mark that makes a commit count;
    any other fault may have come after it was on disk, and then a restart would find it."""
    if isinstance(exc, apsw.FullError | apsw.BusyError):
        return unavailable(path, exc)
    return CommitUnknown(f"{path}: it is not known whether the last commit is on disk: {exc}")


_UNAVAILABLE = (
    apsw.FullError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.ProtocolError,
)


class translated:  # noqa: N801 - reads as the function it could be, and is three times as quick
    """Errors of the disk as StoreUnavailable, damage as `store-corrupt`; mistakes of ours stay visible."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, BROKEN):
            raise corrupt(self._path, exc) from exc
        if isinstance(exc, _UNAVAILABLE):
            raise unavailable(self._path, exc) from exc
