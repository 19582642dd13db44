"""AES-GCM keeps every promise of the Cipher port, and the suite finds ciphers that do not."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from aether.adapters.cipher import AesGcm
from aether.ports import Cipher
from aether.testing import CipherContract, rejects


class TestAesGcm(CipherContract):
    def make(self) -> Cipher:
        return AesGcm()


class Plain(AesGcm):
    """Signs, and hides nothing."""

    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes:
        return data + blake2b(nonce + context + data, key=key).digest()

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        data = sealed[:-64]
        return data if self.seal(key, nonce, data, context) == sealed else None


class Unsigned(AesGcm):
    """Hides, and finds no change."""

    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes:
        stream = blake2b(nonce, key=key).digest() * (len(data) // 64 + 1)
        return bytes(a ^ b for a, b in zip(data, stream, strict=False))

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        return self.seal(key, nonce, sealed, context)


class ForgetsTheContext(AesGcm):
    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes:
        return super().seal(key, nonce, data, b"")

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        return super().unseal(key, nonce, sealed, b"")


class ForgetsTheNonce(AesGcm):
    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes:
        return super().seal(key, bytes(12), data, context)

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        return super().unseal(key, bytes(12), sealed, context)


class KnowsOneKey(AesGcm):
    def seal(self, key: bytes, nonce: bytes, data: bytes, context: bytes) -> bytes:
        return super().seal(bytes(32), nonce, data, context)

    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        return super().unseal(bytes(32), nonce, sealed, context)


class Raises(AesGcm):
    def unseal(self, key: bytes, nonce: bytes, sealed: bytes, context: bytes) -> bytes | None:
        data = super().unseal(key, nonce, sealed, context)
        if data is None:
            raise ValueError("changed")
        return data


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Plain, "test_sealed_bytes_do_not_show_what_they_hold"),
        (Unsigned, "test_a_bit_that_was_changed_is_found"),
        (Unsigned, "test_bytes_that_are_cut_or_grown_open_nothing"),
        (ForgetsTheContext, "test_sealed_bytes_open_only_as_what_they_are"),
        (ForgetsTheNonce, "test_another_nonce_opens_nothing"),
        (ForgetsTheNonce, "test_nonces_make_one_value_look_different"),
        (KnowsOneKey, "test_another_key_opens_nothing"),
        (Raises, "test_bytes_that_are_cut_or_grown_open_nothing"),
    ],
)
def test_the_suite_finds_ciphers_that_are_broken(broken: type[Cipher], test: str) -> None:
    rejects(CipherContract, broken, by=test)
