"""Artifacts in a folder.

In: `{path}`, relative to the root. Out: the file's bytes. Never: a file outside the root.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from ..whole_files import missing, refused, replacing


class LocalArtifacts:
    """Config: `path`, with `/` between its parts, below `root`. Links that leave the root are refused."""

    type = "local"

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)

    def check(self, config: Mapping[str, Any]) -> list[str]:
        wrong = [f"'{member}' is unknown" for member in sorted(map(str, set(config) - {"path"}))]
        path = config.get("path")
        if not isinstance(path, str) or not path.strip():
            return [*wrong, "'path' must be a text, and not empty"]
        parts = PurePosixPath(path.replace("\\", "/")).parts
        if (
            not parts
            or parts[0].startswith("/")
            or ".." in parts
            or "\x00" in path
            or ":" in parts[0]
        ):
            wrong.append(f"path {path!r} must be relative and stay within the artifacts' folder")
        return wrong

    async def upload(self, config: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
        kept = self._place(config)
        await asyncio.to_thread(self._keep, file, kept)
        return {"path": config["path"]}

    async def download(self, config: Mapping[str, Any], target: Path) -> None:
        kept = self._place(config)
        await asyncio.to_thread(self._fetch, kept, target, str(config["path"]))

    async def delete(self, config: Mapping[str, Any]) -> None:
        kept = self._place(config)
        await asyncio.to_thread(self._remove, kept)

    def _place(self, config: Mapping[str, Any]) -> Path:
        if wrong := self.check(config):
            raise refused(
                f"this local artifact: {'; '.join(wrong)}", "correct the artifact's config"
            )
        return self._root / str(config["path"]).replace("\\", "/")

    def _confined(self, kept: Path) -> Path:
        """Where the path really leads, which must be below the root. Raises OSError."""
        root = self._root.resolve()
        if root.exists() and not root.is_dir():
            raise refused(f"{self._root} is no folder", "give LocalArtifacts a folder")
        real = kept.resolve()
        if not real.is_relative_to(root):
            raise refused(
                f"{kept} leads out of the artifacts' folder {self._root}",
                "remove the link on its way",
            )
        return real

    def _keep(self, file: Path, kept: Path) -> None:
        with _told(f"keep {file} as {kept}"):
            _copy(file, self._confined(kept))

    def _fetch(self, kept: Path, target: Path, path: str) -> None:
        with _told(f"fetch {kept}"):
            real = self._confined(kept)
            if not real.is_file():
                raise missing(path)
            _copy(real, target)

    def _remove(self, kept: Path) -> None:
        with _told(f"delete {kept}"), suppress(FileNotFoundError, NotADirectoryError):
            self._confined(kept).unlink()


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, replacing(target) as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as exc:  # RuntimeError: links in a circle
        reason = getattr(exc, "strerror", None) or exc
        raise refused(
            f"cannot {doing}: {reason}", "check the file, its rights and the disk"
        ) from exc
