"""Whole files or none: a temporary file beside the target, renamed when it is complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import NotFound, Problem, Refused


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write to. It becomes `target` when the block ends, and vanishes when the block raises."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".aether-", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def missing(what: str) -> NotFound:
    return NotFound(
        Problem(
            "artifact-not-found",
            f"there is no artifact at {what}",
            fix="check the source's config, and that the task which makes it has run",
        )
    )


def refused(what: str, fix: str = "") -> Refused:
    return Refused(Problem("artifact-transfer", what, fix=fix))
