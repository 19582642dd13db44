"""One engine at a time on a database, and a name for the one that has it.

In: a path. Out: a lock that ends with the process, however the process ends, or a problem that names
the holder. Never: a stale lock, because the system holds it and not the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ....errors import Problem, Refused

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # the byte that is locked stands far behind the text that others read

    def _try_lock(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class ProcessLock:
    """`<database>-lock`. The file stays behind on purpose: deleting it would open a gap for two."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + "-lock")
        self._handle: int | None = None

    def acquire(self) -> None:
        """Raises Refused `store-locked`."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _try_lock(handle)
        except OSError as exc:
            os.lseek(handle, 0, os.SEEK_SET)
            holder = os.read(handle, 32).split(b"\n")[0].decode("ascii", "replace")
            os.close(handle)
            raise self._locked(holder) from exc
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, b"%d\n" % os.getpid())
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _locked(self, holder: str) -> Refused:
        who = f"process {holder}" if holder else "another process"
        if holder == str(os.getpid()):
            who = f"this very process ({holder})"
        return Refused(
            Problem(
                "store-locked",
                f"{self._database} is in use by an engine in {who}",
                fix="stop that engine, or ask it; reading beside it works with read_only=True",
            )
        )
