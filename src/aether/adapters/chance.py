"""Chance from the operating system."""

from __future__ import annotations

import os


class SystemChance:
    def token(self, size: int) -> bytes:
        return os.urandom(size)
