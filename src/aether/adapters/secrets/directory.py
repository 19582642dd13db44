"""Secrets in files, one directory for each secret, as Kubernetes mounts them.

In: a name and a key. Out: the file's text. Never: a file outside the root.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from ...errors import Problem, Refused, StoreUnavailable

PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
LARGEST = 1 << 20


class DirectorySecrets:
    """Secret `name`, key `key` is the file `<root>/<name>/<key>`, without one newline at its end.

    Links are followed as long as they stay within the root; what lies outside does not exist.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)

    async def get(self, name: str, key: str) -> str | None:
        if not (PART.fullmatch(name) and PART.fullmatch(key)):
            return None
        return await asyncio.to_thread(self._read, name, key)

    def _read(self, name: str, key: str) -> str | None:
        try:
            root = self._root.resolve(strict=True)
        except (OSError, RuntimeError) as exc:
            raise StoreUnavailable(
                f"the directory of secrets {self._root} cannot be reached; mount or create it"
            ) from exc
        try:
            file = (root / name / key).resolve(strict=True)
            if not file.is_relative_to(root) or not file.is_file():
                return None
            with file.open("rb") as opened:
                content = opened.read(LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RuntimeError) as exc:
            raise StoreUnavailable(
                f"secret '{name}', key '{key}' cannot be read from {self._root}: "
                f"{type(exc).__name__}; let this process read the file"
            ) from exc
        return _text(content, name, key)


def _text(content: bytes, name: str, key: str) -> str:
    if len(content) > LARGEST:
        raise Refused(
            Problem(
                "secret-too-large",
                f"secret '{name}', key '{key}' is larger than {LARGEST} bytes",
                fix="keep large files as artifacts",
            )
        )
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # without the cause: its text would show bytes of the secret
        raise Refused(
            Problem(
                "secret-not-text",
                f"secret '{name}', key '{key}' is not UTF-8 text",
                fix="encode it, for example as base64, and decode it in the task",
            )
        ) from None
    if text.endswith("\r\n"):
        return text[:-2]
    return text.removesuffix("\n")
