"""Chance from one seed: every choice of a simulation is drawn here, and so can be drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance(Random):
    """Seeded with text, whose hash does not depend on the process. `child` gives a stream of its own,
    so that what one part draws does not shift what another will draw."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.seed_text = seed

    def child(self, name: str) -> Chance:
        return Chance(f"{self.seed_text}/{name}")

    def happens(self, probability: float) -> bool:
        return probability > 0 and self.random() < probability

    def one_of(self, options: Sequence[T]) -> T:
        return options[int(self.random() * len(options))]

    def span(self, shortest: int, longest: int) -> int:
        """Microseconds; short ones are as likely as long ones, in orders of magnitude."""
        low = max(1, shortest)
        return int(low * (max(low, longest) / low) ** self.random())
