"""What every Cipher promises."""

from __future__ import annotations

from ..ports import Cipher
from .suites import ContractSuite

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
NONCE = b"\x07" * 12
CONTEXT = b"a value"
DATA = b'[["card","str","4111 1111 1111 1111"]]'


class CipherContract(ContractSuite):
    """`make` returns a cipher."""

    def make(self) -> Cipher:
        raise NotImplementedError

    def test_what_was_sealed_comes_back(self) -> None:
        cipher = self.make()
        for data in (b"", b"\x00", DATA, bytes(range(256)) * 5000):
            sealed = cipher.seal(KEY, NONCE, data, CONTEXT)
            assert cipher.unseal(KEY, NONCE, sealed, CONTEXT) == data

    def test_sealed_bytes_do_not_show_what_they_hold(self) -> None:
        sealed = self.make().seal(KEY, NONCE, DATA, CONTEXT)
        assert DATA not in sealed
        assert b"4111" not in sealed
        assert KEY not in sealed

    def test_another_key_opens_nothing(self) -> None:
        cipher = self.make()
        sealed = cipher.seal(KEY, NONCE, DATA, CONTEXT)
        assert cipher.unseal(OTHER, NONCE, sealed, CONTEXT) is None

    def test_another_nonce_opens_nothing(self) -> None:
        cipher = self.make()
        sealed = cipher.seal(KEY, NONCE, DATA, CONTEXT)
        assert cipher.unseal(KEY, b"\x08" * 12, sealed, CONTEXT) is None

    def test_sealed_bytes_open_only_as_what_they_are(self) -> None:
        cipher = self.make()
        sealed = cipher.seal(KEY, NONCE, DATA, CONTEXT)
        assert cipher.unseal(KEY, NONCE, sealed, b"a document") is None

    def test_a_bit_that_was_changed_is_found(self) -> None:
        cipher = self.make()
        sealed = cipher.seal(KEY, NONCE, DATA, CONTEXT)
        for place in (0, len(sealed) // 2, len(sealed) - 1):
            changed = bytearray(sealed)
            changed[place] ^= 1
            assert cipher.unseal(KEY, NONCE, bytes(changed), CONTEXT) is None

    def test_bytes_that_are_cut_or_grown_open_nothing(self) -> None:
        cipher = self.make()
        sealed = cipher.seal(KEY, NONCE, DATA, CONTEXT)
        for changed in (b"", sealed[:3], sealed[:-1], sealed + b"\x00"):
            assert cipher.unseal(KEY, NONCE, changed, CONTEXT) is None

    def test_nonces_make_one_value_look_different(self) -> None:
        cipher = self.make()
        one = cipher.seal(KEY, NONCE, DATA, CONTEXT)
        assert one != cipher.seal(KEY, b"\x08" * 12, DATA, CONTEXT)
