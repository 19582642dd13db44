"""The seeds of a test: chosen once, told when it fails, and given again to repeat it."""

from __future__ import annotations

import os
from random import SystemRandom

VARIABLE = "AETHER_TEST_SEED"

used: list[int] = []
"""Seeds of what was set up since the list was last emptied. The pytest plugin shows them with a failure."""


def a_seed(given: int | None = None) -> int:
    """`given`, else that of the variable AETHER_TEST_SEED, else one by chance. It is noted as used."""
    seed = given
    if seed is None:
        text = os.environ.get(VARIABLE, "")
        seed = int(text) if text else SystemRandom().randrange(1_000_000)
    if seed not in used:
        used.append(seed)
    return seed
