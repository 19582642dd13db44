"""Instants as people read them: exact to the microsecond, however far away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from aether.engine import moment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("most", [2**31, 2**51, 2**52, 2**57])
def test_every_microsecond_has_a_moment_of_its_own(most: int) -> None:
    chance = Random(1)
    for _ in range(2_000):
        instant = chance.randrange(most - most // 8, most + most // 8)
        assert moment(instant) == EPOCH + timedelta(microseconds=instant)
        assert moment(instant).tzinfo is UTC


def test_an_instant_before_1970_has_a_moment() -> None:
    assert moment(-1) == EPOCH - timedelta(microseconds=1)
