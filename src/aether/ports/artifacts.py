"""ArtifactRepository: moves artifact files to and from where they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class ArtifactRepository(Protocol):
    """Serves artifact sources of one `type`, such as `local`, `http` or `oss`.

    `check` returns sentences about what is wrong with a source's config, none if it is right; it does
    no I/O and takes any JSON object. `upload` keeps the file's bytes and returns the config under which
    `download` finds them again; uploading to the same config replaces them, whole or not at all.
    `download` writes the bytes to `target`, replacing what is there, whole or not at all. What does not
    exist raises NotFound `artifact-not-found`; a repository that cannot be reached or refuses, a config
    that `check` finds fault with, and a file that cannot be read or written raise Refused
    `artifact-transfer`. `delete` removes what `upload` kept and does nothing if it is gone. Several
    transfers may run at the same time, and none blocks the event loop. Archives are not a repository's
    business: it moves one file.
    """

    @property
    def type(self) -> str: ...

    def check(self, config: Mapping[str, Any]) -> list[str]: ...

    async def upload(self, config: Mapping[str, Any], file: Path) -> Mapping[str, Any]: ...

    async def download(self, config: Mapping[str, Any], target: Path) -> None: ...

    async def delete(self, config: Mapping[str, Any]) -> None: ...
