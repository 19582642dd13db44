"""The id generators keep their promises, and the suite finds those that do not."""

import itertools

import pytest

from aether.adapters.ids import CounterIds, UuidV7Ids
from aether.testing import IdGeneratorContract, rejects


class TestUuidV7Ids(IdGeneratorContract):
    def make(self):
        return UuidV7Ids()


class TestCounterIds(IdGeneratorContract):
    numbers = itertools.count()

    def make(self):
        return CounterIds(prefix=f"g{next(self.numbers)}-")


class ConstantIds:
    def generate(self, kind, name):
        return "run"


class NamedIds(CounterIds):
    """The name as the user wrote it is part of the id."""

    def generate(self, kind, name):
        return f"{name}-{super().generate(kind, name)}"


class DottedIds(UuidV7Ids):
    def generate(self, kind, name):
        return super().generate(kind, name).replace("-", ".")


class NumberIds(CounterIds):
    def generate(self, kind, name):
        return int(super().generate(kind, name))


class LongIds(UuidV7Ids):
    def generate(self, kind, name):
        return super().generate(kind, name) * 4


class EmptyIds(UuidV7Ids):
    def generate(self, kind, name):
        return super().generate(kind, name) if name else ""


class PerKindIds:
    """Counts each kind by itself: a cron and a run share an id."""

    def __init__(self):
        self.counters = {"Workflow": CounterIds(), "CronWorkflow": CounterIds()}

    def generate(self, kind, name):
        return self.counters[kind].generate(kind, name)


class AsyncIds(UuidV7Ids):
    async def generate(self, kind, name):
        return super().generate(kind, name)


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (ConstantIds, "test_no_id_comes_twice"),
        (NamedIds, "test_ids_are_made_of_the_characters_allowed_and_hold_no_dot"),
        (DottedIds, "test_ids_are_made_of_the_characters_allowed_and_hold_no_dot"),
        (NumberIds, "test_ids_are_made_of_the_characters_allowed_and_hold_no_dot"),
        (LongIds, "test_ids_are_1_to_128_characters_long"),
        (EmptyIds, "test_ids_are_1_to_128_characters_long"),
        (PerKindIds, "test_no_id_comes_twice_whatever_kind_and_name"),
        (CounterIds, "test_two_generators_over_one_store_never_agree"),
        (AsyncIds, "test_an_id_is_there_at_once"),
    ],
)
def test_the_suite_rejects(broken, by):
    rejects(IdGeneratorContract, broken, by=by)
