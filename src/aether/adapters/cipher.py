"""AES-256-GCM, by the library that is loaded at the first seal and not before.

In: keys, nonces, bytes. Out: sealed bytes, and back. Never: a key remembered longer than a few thousand
others came, or written anywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..errors import Problem, Refused


class AesGcm:
    """Needs the package `cryptography` (extra `encryption`); raises Refused `encryption-missing` where
    it is first needed and not installed."""

    def __init__(self) -> None:
        self._kind: Any = None
        self._invalid: type[BaseException] = ValueError
        self._made = lru_cache(maxsize=1024)(self._make)

    def __repr__(self) -> str:
        return "AesGcm()"

    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes:
        sealed: bytes = self._made(key).encrypt(nonce, data, context)
        return sealed

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        opener = self._made(key)
        try:
            data: bytes = opener.decrypt(nonce, sealed, context)
        except (self._invalid, ValueError):  # changed, or too short or long to be one
            return None
        return data

    def _make(self, key: bytes) -> Any:
        if self._kind is None:
            self._load()
        return self._kind(key)

    def _load(self) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise Refused(
                Problem(
                    "encryption-missing",
                    "values are to be encrypted, and the package `cryptography` is not installed",
                    fix="install it with the extra: pip install 'aether[encryption]'",
                )
            ) from error
        self._kind, self._invalid = AESGCM, InvalidTag
