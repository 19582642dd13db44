"""Chance: the only way randomness enters engine, worker and sdk."""

from __future__ import annotations

from typing import Protocol


class Chance(Protocol):
    """`token` returns `size` bytes that nobody can predict. It does not block."""

    def token(self, size: int) -> bytes: ...
