"""Small disks, to be filled: file systems of their own in memory.

In: a size. Out: a directory. Never: a test that is skipped for want of rights: root mounts one, anybody
else has it mounted in a user namespace and looks into it from outside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk_of(size: int) -> Iterator[Path]:
    """A directory on a file system of `size` bytes, which any account may use."""
    if sys.platform != "linux":
        pytest.skip("a small file system in memory takes Linux")
    place = Path(tempfile.mkdtemp(prefix="aether-disk-"))
    place.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(place)]
    try:
        if (
            os.geteuid() == 0
            and subprocess.run(mount, check=False, capture_output=True).returncode == 0
        ):
            try:
                yield place
            finally:
                subprocess.run(["umount", "--lazy", str(place)], check=True)
        else:
            with _in_a_namespace(mount, place) as seen:
                yield seen
    finally:
        place.rmdir()


@contextmanager
def _in_a_namespace(mount: list[str], place: Path) -> Iterator[Path]:
    """The process that holds the namespace ends when its standard input does."""
    script = '"$@" && echo mounted && exec cat'
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *mount],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    said = holder.stdout.readline()
    try:
        if said != "mounted\n":
            _, told = holder.communicate()
            if os.environ.get("CI"):
                pytest.fail(f"CI must allow a user namespace or a mount: {told}")
            pytest.skip(f"this account may not have a file system of its own: {told.strip()}")
        yield Path(f"/proc/{holder.pid}/root{place}")
    finally:
        holder.communicate()


def fill(place: Path, leave: int) -> Path:
    """A file that takes all the space but `leave` bytes."""
    free = os.statvfs(place)
    filler = place / "filler"
    with filler.open("wb") as file:
        for _ in range((free.f_bavail * free.f_frsize - leave) >> 16):
            file.write(bytes(1 << 16))
    return filler
