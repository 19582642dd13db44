"""Archives: `tar`, `tar.gz` and `zip`, packed so that equal files give equal bytes, and unpacked as if
a stranger had made them: plain files and folders only, inside the target only, up to a limit."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from ..errors import Problem, Refused

_CHUNK = 1 << 18
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def unpack(
    archive: Path, kind: str, target: Path, *, most_bytes: int = 4 << 30, most_files: int = 100_000
) -> None:
    """Into `target`, which must not exist. Raises Refused `artifact-archive`; `target` is then partial."""
    target.mkdir(parents=True)
    room = _Room(archive.name, target, most_bytes, most_files)
    try:
        if kind == "zip":
            _unzip(archive, room)
        elif kind in ("tar", "tar.gz"):
            _untar(archive, kind, room)
        else:
            raise _refused(archive.name, f"'{kind}' is no kind of archive: use tar, tar.gz or zip")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise _refused(archive.name, f"it is no {kind} file, or is damaged ({error})") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile: a method, or a password
        raise _refused(archive.name, f"it cannot be read ({error})") from error


def pack(source: Path, kind: str, archive: Path) -> None:
    """The file `source`, or what is in the folder `source`, by relative name in sorted order. Raises
    Refused `artifact-archive` for links and devices."""
    entries = list(_entries(source))
    if kind == "zip":
        _zip(entries, archive)
    elif kind == "tar":
        with archive.open("wb") as raw:
            _tar(entries, raw)
    elif kind == "tar.gz":
        with archive.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            _tar(entries, packed)
    else:
        raise _refused(source.name, f"'{kind}' is no kind of archive: use tar, tar.gz or zip")


class _Room:
    """The target of one unpacking, with its limits."""

    def __init__(self, name: str, target: Path, most_bytes: int, most_files: int) -> None:
        self.name = name
        self.target = target
        self.bytes_left = most_bytes
        self.files_left = most_files

    def folder(self, name: str) -> None:
        self._count()
        self._make(self._place(name))

    def file(self, name: str, content: IO[bytes], executable: bool) -> None:
        self._count()
        place = self._place(name)
        self._make(place.parent)
        try:
            with place.open("xb") as out:
                while chunk := content.read(_CHUNK):
                    self.bytes_left -= len(chunk)
                    if self.bytes_left < 0:
                        raise _refused(self.name, "it unpacks to more than the limit")
                    out.write(chunk)
        except (FileExistsError, IsADirectoryError) as error:
            raise _refused(self.name, f"it holds '{name}' twice") from error
        place.chmod(0o755 if executable else 0o644)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise _refused(self.name, "it holds a file and a folder of one name") from error

    def _place(self, name: str) -> Path:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\\0:"):
            raise _refused(self.name, f"'{name}' would be written outside its folder")
        if len(name) > 1024 or len(path.parts) > 64:
            raise _refused(self.name, f"'{name[:60]}…' is too long or too deep a name")
        return self.target.joinpath(*path.parts)

    def _count(self) -> None:
        self.files_left -= 1
        if self.files_left < 0:
            raise _refused(self.name, "it holds more files than the limit")


def _untar(archive: Path, kind: str, room: _Room) -> None:
    with tarfile.open(archive, "r|gz" if kind == "tar.gz" else "r|") as reader:
        for member in reader:
            if member.isdir():
                room.folder(member.name)
            elif member.isreg():
                content = reader.extractfile(member)
                assert content is not None, "a regular file has content"
                room.file(member.name, content, bool(member.mode & 0o100))
            else:
                raise _refused(room.name, f"'{member.name}' is a link or a device")


def _unzip(archive: Path, room: _Room) -> None:
    with zipfile.ZipFile(archive) as reader:
        for member in reader.infolist():
            mode = member.external_attr >> 16
            if member.is_dir():
                room.folder(member.filename)
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _refused(room.name, f"'{member.filename}' is a link or a device")
            else:
                with reader.open(member) as content:
                    room.file(member.filename, content, bool(mode & 0o100))


def _entries(source: Path) -> Iterator[tuple[str, Path]]:
    """(name in the archive, path), parents before what they hold."""
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise _refused(source.name, f"'{path.name}' is a link or a device")
        yield path.relative_to(source if source.is_dir() else source.parent).as_posix(), path


def _tar(entries: list[tuple[str, Path]], out: IO[bytes] | gzip.GzipFile) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as writer:
        for name, path in entries:
            member = tarfile.TarInfo(name)
            member.mode = 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644
            if path.is_dir():
                member.type = tarfile.DIRTYPE
                writer.addfile(member)
            else:
                member.size = path.stat().st_size
                with path.open("rb") as content:
                    writer.addfile(member, content)


def _zip(entries: list[tuple[str, Path]], archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, path in entries:
            member = zipfile.ZipInfo(name + "/" if path.is_dir() else name, _LONG_AGO)
            member.compress_type = zipfile.ZIP_DEFLATED
            if path.is_dir():
                member.external_attr = (stat.S_IFDIR | 0o755) << 16
                writer.writestr(member, b"")
                continue
            executable = path.stat().st_mode & 0o100
            member.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
            with path.open("rb") as content, writer.open(member, "w") as out:
                while chunk := content.read(_CHUNK):
                    out.write(chunk)


def _refused(name: str, what: str) -> Refused:
    return Refused(
        Problem(
            "artifact-archive",
            f"the archive '{name}' was not moved: {what}",
            fix="make an archive of plain files and folders with relative names",
        )
    )
