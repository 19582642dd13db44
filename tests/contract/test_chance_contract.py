"""SystemChance keeps its promise, and the suite finds what does not."""

import itertools
import os
import random

import pytest

from aether.adapters.chance import SystemChance
from aether.testing import ChanceContract, rejects


class TestSystemChance(ChanceContract):
    def make(self):
        return SystemChance()


class Constant:
    def token(self, size):
        return bytes(size)


class Short:
    def token(self, size):
        return os.urandom(min(size, 1_024))


class Text:
    def token(self, size):
        return os.urandom(size).hex()[:size]


class Counting:
    numbers = itertools.count()

    def token(self, size):
        return next(self.numbers).to_bytes(size or 1)[:size] if size <= 8 else os.urandom(size)


class SameSeed:
    def __init__(self):
        self.random = random.Random(7)

    def token(self, size):
        return self.random.randbytes(size)


class Printable:
    def token(self, size):
        return bytes(32 + byte % 95 for byte in os.urandom(size))


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Constant, "test_tokens_do_not_repeat"),
        (Short, "test_token_is_bytes_of_the_size_asked_for"),
        (Text, "test_token_is_bytes_of_the_size_asked_for"),
        (Counting, "test_a_token_does_not_follow_from_the_one_before"),
        (SameSeed, "test_two_of_a_kind_do_not_say_the_same"),
        (Printable, "test_every_byte_is_used_about_equally"),
    ],
)
def test_suite_rejects_a_broken_chance(broken, test):
    rejects(ChanceContract, broken, by=test)
