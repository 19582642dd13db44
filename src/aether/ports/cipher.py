"""Cipher: makes bytes unreadable for whoever has no key, and tells when they were changed."""

from __future__ import annotations

from typing import Protocol


class Cipher(Protocol):
    """Authenticated encryption, for calls from any thread.

    `seal` returns `data` unreadable without `key` (32 bytes). No two calls with one key may be given one
    `nonce` (12 bytes); callers see to that. `unseal` returns what was sealed, or None when key, nonce or
    `context` are others than at the sealing, or a bit of `sealed` was changed. `context` is not kept and
    not secret; it says what the bytes are, so that they cannot be passed off as something else.
    """

    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes: ...

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None: ...
