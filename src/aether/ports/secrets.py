"""SecretProvider: turns references into values, at dispatch and nowhere else."""

from __future__ import annotations

from typing import Protocol


class SecretProvider(Protocol):
    """`get` returns the secret's text as it is kept, or None if there is no such secret; an empty text is
    a secret. It never logs a value, shows none in its own repr, and caches none beyond its call: a changed
    secret is seen by the next one. It must answer within a moment, many calls at the same time, and
    raises StoreUnavailable when the place where secrets live cannot be reached. Names and keys that try
    to leave that place (`../x`), or could not be one, do not exist."""

    async def get(self, name: str, key: str) -> str | None: ...
