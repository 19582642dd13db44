"""What every Chance must do."""

from __future__ import annotations

import itertools

from ..ports import Chance
from .suites import ContractSuite


class ChanceContract(ContractSuite):
    """Subclass it, and let `make` return a new adapter."""

    def make(self) -> Chance:
        raise NotImplementedError

    def test_token_is_bytes_of_the_size_asked_for(self) -> None:
        chance = self.make()
        for size in (0, 1, 16, 4_097):
            token = chance.token(size)
            assert type(token) is bytes
            assert len(token) == size

    def test_tokens_do_not_repeat(self) -> None:
        chance = self.make()
        assert len({chance.token(16) for _ in range(5_000)}) == 5_000

    def test_two_of_a_kind_do_not_say_the_same(self) -> None:
        first, second = self.make(), self.make()
        said = {first.token(16) for _ in range(100)}
        assert not said & {second.token(16) for _ in range(100)}

    def test_a_token_does_not_follow_from_the_one_before(self) -> None:
        chance = self.make()
        numbers = [int.from_bytes(chance.token(8)) for _ in range(200)]
        steps = {later - earlier for earlier, later in itertools.pairwise(numbers)}
        assert len(steps) == len(numbers) - 1

    def test_every_byte_is_used_about_equally(self) -> None:
        counts = [0] * 256
        for byte in self.make().token(256 * 200):
            counts[byte] += 1
        assert min(counts) > 100, "a byte that chance avoids"
        assert max(counts) < 320, "a byte that chance prefers"
