"""Secrets become values on their way out, and are blotted out on their way back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import StoreUnavailable
from ..ports import SecretProvider
from ..record import NamedValue, SecretRef, decode_json, decode_values, encode_json, encode_values

BLOT = "***"
_SHORT = 4
"""A secret of fewer characters is blotted out only where it is the whole text: it may occur by chance."""


class SecretMissing(Exception):
    """No value and no declared default."""


class Resolved(msgspec.Struct):
    inputs: bytes | None
    values: frozenset[str]


async def resolve_secrets(inputs: bytes | None, provider: SecretProvider | None) -> Resolved:
    """`inputs` with every reference replaced by its value. Raises SecretMissing, which names it."""
    if not inputs:
        return Resolved(inputs, frozenset())
    values = decode_values(inputs)
    found: set[str] = set()
    changed = False
    for index, value in enumerate(values):
        if value.secret is None:
            continue
        text = await _fetch(value.secret, provider)
        values[index] = NamedValue(value.name, value.type, text)
        changed = True
        if isinstance(text, str) and text:
            found.add(text)
    return Resolved(encode_values(values) if changed else inputs, frozenset(found))


async def _fetch(secret: SecretRef, provider: SecretProvider | None) -> Any:
    try:
        text = await provider.get(secret.name, secret.key) if provider else None
    except StoreUnavailable as error:
        raise SecretMissing(f"secret {secret.name}/{secret.key}: {error}") from error
    if text is not None:
        return text
    if secret.default is not None:
        return secret.default
    raise SecretMissing(f"there is no secret {secret.name}/{secret.key}, and no default")


def blot_text(text: str, secrets: Iterable[str]) -> str:
    # Longest first, so that a secret inside another leaves no tail behind.
    return _blot_text(text, sorted(secrets, key=len, reverse=True))


def _blot_text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        if text == secret:
            return BLOT
        if len(secret) >= _SHORT:
            text = text.replace(secret, BLOT)
    return text


def blot_values(data: bytes | None, secrets: frozenset[str]) -> bytes | None:
    """Encoded values with every secret replaced, wherever in them it stands."""
    if not data or not secrets:
        return data
    ordered = sorted(secrets, key=len, reverse=True)
    return encode_json(_blot(decode_json(data), ordered))


def _blot(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        return _blot_text(value, secrets)
    if isinstance(value, list):
        return [_blot(item, secrets) for item in value]
    if isinstance(value, dict):
        return {_blot_text(key, secrets): _blot(item, secrets) for key, item in value.items()}
    return value
