"""The signature of a webhook: proves to a receiver who sent a body, and when.

The header `Aether-Signature: t=<seconds since 1970>,v1=<hex>` holds the HMAC-SHA256, under the shared
secret, of the seconds in decimal, a dot, and the body as sent.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import timedelta

from ..record import Instant

SIGNATURE_HEADER = "Aether-Signature"
HEADER = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(secret: str | bytes, body: bytes, at: Instant) -> str:
    """The header's text for a body sent at this instant."""
    seconds = str(at // 1_000_000)
    return f"t={seconds},v1={_digest(secret, seconds, body)}"


def verify_signature(
    secret: str | bytes,
    header: str,
    body: bytes,
    *,
    now: Instant,
    tolerance: timedelta = timedelta(minutes=5),
) -> bool:
    """For receivers: did the holder of `secret` send this very body, not longer than `tolerance` ago?

    Give the body's bytes as they came, before any parsing, and answer False with status 401.
    """
    match = HEADER.fullmatch(header)
    if match is None:
        return False
    seconds, given = match.groups()
    fresh = abs(now // 1_000_000 - int(seconds)) <= tolerance.total_seconds()
    return hmac.compare_digest(given, _digest(secret, seconds, body)) and fresh


def _digest(secret: str | bytes, seconds: str, body: bytes) -> str:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.new(key, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
