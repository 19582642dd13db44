"""The keys that values are encrypted with at rest: fetched by id, used, never kept anywhere else.

In: a reference to the newest key, and who knows keys. Out: sealed bytes, and bytes unsealed. Never: a
key in a message, a log line or a repr.

A key is not used itself: of every key, two others are derived. One names large values, so that who has
no key cannot tell by its name whether a value is the one he thinks of. The other belongs to a salt drawn
by chance, and to no more than a million seals, so that their nonces, drawn too, never meet.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from ..errors import InvalidState, Problem, Refused
from ..ports import Chance, Cipher, SecretProvider
from ..record import Ciphered, ciphered_cell, ciphered_of

_REFERENCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/([A-Za-z0-9][A-Za-z0-9._-]*)")
_BYTES = 32
_SEALS = 1 << 20
_MOST_DERIVED = 4096


class Keyring:
    """`reference` is `name/key-id`: key `key-id` of the secret `name` seals what is new. What older keys
    sealed is read as long as the provider knows them, under the same name and the id each value names.
    A key is 32 bytes, as base64 or hexadecimal text."""

    def __init__(
        self, reference: str, provider: SecretProvider, cipher: Cipher, chance: Chance
    ) -> None:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise Refused(
                Problem(
                    "bad-key-reference",
                    f"'{reference}' names no key",
                    fix="write name/key-id: the name of a secret, and the id of its newest key",
                )
            )
        self.name, self.key_id = match.groups()
        self._provider = provider
        self._cipher = cipher
        self._chance = chance
        self._keys: dict[str, bytes] = {}
        self._derived: dict[tuple[str, bytes], bytes] = {}
        self._salt = b""
        self._left = 0  # seals until another salt is drawn

    def __repr__(self) -> str:
        return f"Keyring('{self.name}/{self.key_id}')"

    async def open(self) -> None:
        """Raises Refused `payload-key-missing` or `bad-payload-key`, StoreUnavailable."""
        await self.fetch([self.key_id])

    async def fetch(self, key_ids: Iterable[str]) -> None:
        """Have these keys at hand. Raises as `open` does."""
        for key_id in key_ids:
            if key_id in self._keys:
                continue
            text = await self._provider.get(self.name, key_id)
            if text is None:
                raise key_missing(f"{self.name}/{key_id}", "there is no such secret")
            self._keys[key_id] = self._read(key_id, text)

    def _read(self, key_id: str, text: str) -> bytes:
        key = _bytes_of(text)
        if len(key) != _BYTES:
            raise Refused(
                Problem(
                    "bad-payload-key",
                    f"the secret '{self.name}/{key_id}' is no key: 32 bytes, as base64 or hexadecimal text",
                    fix="make one with: openssl rand -base64 32",
                )
            )
        return key

    def holds(self, text: str) -> bool:
        """Whether this is the text of a key that is at hand."""
        return any(hmac.compare_digest(key, _bytes_of(text)) for key in self._keys.values())

    def name_of(self, value: bytes) -> bytes:
        """The digest of a large value, under the newest key."""
        key = self._derive(self.key_id, b"", b"aether: digests")
        return blake2b(value, digest_size=32, key=key).digest()

    def seal(self, data: bytes, context: bytes) -> bytes:
        """`data` under the newest key, which is at hand. From any thread."""
        if self._left <= 0:
            self._salt, self._left = self._chance.token(16), _SEALS
        self._left -= 1
        salt, nonce = self._salt, self._chance.token(12)
        key = self._derive(self.key_id, salt, b"aether: values")
        text = self._cipher.seal(key, nonce, data, _context(self.key_id, context))
        return ciphered_cell(Ciphered(self.key_id, salt, nonce, text))

    def unseal(self, cell: bytes, context: bytes) -> bytes:
        """What is sealed in `cell`, whose key is at hand. Raises InvalidState `payload-unreadable`."""
        try:
            ciphered = ciphered_of(cell)
        except msgspec.DecodeError as error:
            raise unreadable("a sealed value was damaged") from error
        key_id = ciphered.key_id
        key = self._derive(key_id, ciphered.salt, b"aether: values")
        data = self._cipher.unseal(key, ciphered.nonce, ciphered.text, _context(key_id, context))
        if data is None:
            raise unreadable(
                f"a value sealed with key '{self.name}/{key_id}' does not open with it"
            )
        return data

    def _derive(self, key_id: str, salt: bytes, use: bytes) -> bytes:
        key = self._derived.get((key_id, salt))
        if key is None:
            if len(self._derived) >= _MOST_DERIVED:
                self._derived.clear()
            key = blake2b(use + salt, digest_size=_BYTES, key=self._keys[key_id]).digest()
            self._derived[key_id, salt] = key
        return key


class Reserved:
    """A SecretProvider for tasks: it knows all secrets of another but the keys of a keyring, under
    whatever name they are asked for."""

    def __init__(self, provider: SecretProvider, keyring: Keyring) -> None:
        self._provider = provider
        self._keyring = keyring

    async def get(self, name: str, key: str) -> str | None:
        if name == self._keyring.name:
            return None
        text = await self._provider.get(name, key)
        return None if text is not None and self._keyring.holds(text) else text


def key_of(cell: bytes) -> str:
    """The id of the key that a sealed cell needs."""
    try:
        return ciphered_of(cell).key_id
    except msgspec.DecodeError as error:
        raise unreadable("a sealed value was damaged") from error


def _bytes_of(text: str) -> bytes:
    """Base64 or hexadecimal text as bytes; nothing for other text."""
    text = text.strip()
    try:
        if len(text) == 2 * _BYTES:
            return bytes.fromhex(text)
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def _context(key_id: str, context: bytes) -> bytes:
    return b"\x00".join((context, key_id.encode()))


def key_missing(key: str, why: str) -> Refused:
    return Refused(
        Problem(
            "payload-key-missing",
            f"values are sealed with key '{key}', and {why}",
            fix="give the key its id under which it was used: Aether(encryption='name/newest-key-id') and "
            "AETHER_ENCRYPTION name it, the secret provider must know it, old ones too",
        )
    )


def unreadable(what: str) -> InvalidState:
    return InvalidState(
        Problem(
            "payload-unreadable",
            what,
            fix="if the key under this id was replaced, bring the old one back and give the new one an id "
            "of its own; else the database was damaged or changed: restore a backup",
        )
    )
