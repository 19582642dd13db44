"""What every IdGenerator promises."""

from __future__ import annotations

import inspect
import string

from ..ports import IdGenerator, IdKind
from .suites import ContractSuite

ALLOWED = frozenset(string.ascii_letters + string.digits + "-_:")
NAMES = ("etl", "", "Übergröße", "a.b/c d\n", "../x", "x" * 63, "n" * 500, "{{x}}", "%s", "\x00")


class IdGeneratorContract(ContractSuite):
    """`make` returns a generator; each call of it another one over the same store."""

    def make(self) -> IdGenerator:
        raise NotImplementedError

    def test_no_id_comes_twice(self) -> None:
        ids = self.make()
        made = [ids.generate("Workflow", "etl") for _ in range(20_000)]
        assert len(set(made)) == len(made)

    def test_no_id_comes_twice_whatever_kind_and_name(self) -> None:
        ids = self.make()
        kinds: tuple[IdKind, ...] = ("Workflow", "CronWorkflow")
        made = [ids.generate(kind, name) for kind in kinds for name in NAMES for _ in range(3)]
        assert len(set(made)) == len(made)

    def test_two_generators_over_one_store_never_agree(self) -> None:
        one, other = self.make(), self.make()
        made = [ids.generate("Workflow", "etl") for _ in range(1_000) for ids in (one, other)]
        assert len(set(made)) == len(made)

    def test_ids_are_made_of_the_characters_allowed_and_hold_no_dot(self) -> None:
        ids = self.make()
        for name in NAMES:
            made = ids.generate("Workflow", name)
            assert type(made) is str
            assert not set(made) - ALLOWED, f"{made!r} for the name {name!r}"

    def test_ids_are_1_to_128_characters_long(self) -> None:
        ids = self.make()
        lengths = [len(ids.generate("Workflow", name)) for name in NAMES for _ in range(100)]
        assert min(lengths) >= 1
        assert max(lengths) <= 128

    async def test_an_id_is_there_at_once(self) -> None:
        made = self.make().generate("CronWorkflow", "nightly")
        if inspect.iscoroutine(made):
            made.close()
        assert not inspect.isawaitable(made)
