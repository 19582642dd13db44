"""Secrets in environment variables.

In: a name and a key. Out: the variable's text. Never: a copy of it kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


class EnvSecrets:
    """Secret `name`, key `key` is the variable `<prefix><NAME>_<KEY>`, upper-cased, hyphens and dots as
    underscores: the key `api-key` of `billing` is `AETHER_SECRET_BILLING_API_KEY`.

    Two references may so mean the same variable: `a`/`b-c` and `a-b`/`c`. Choose names that do not.
    """

    def __init__(
        self, prefix: str = "AETHER_SECRET_", environment: Mapping[str, str] | None = None
    ) -> None:
        self._prefix = prefix
        self._environment = os.environ if environment is None else environment

    def variable(self, name: str, key: str) -> str:
        """The name of the variable that holds this secret: what to set when it is missing."""
        return self._prefix + re.sub(r"[.-]", "_", f"{name}_{key}").upper()

    async def get(self, name: str, key: str) -> str | None:
        if not (PART.fullmatch(name) and PART.fullmatch(key)):
            return None
        return self._environment.get(self.variable(name, key))
