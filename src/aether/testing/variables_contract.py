"""What every VarsSource promises."""

from __future__ import annotations

import inspect
import re
import time

import msgspec

from ..ports import VarsSource
from .suites import ContractSuite

RESERVED = ("workflow", "inputs", "tasks", "loop_iter", "iterator")


class VarsSourceContract(ContractSuite):
    """`make` returns a source that has at least one variable."""

    def make(self) -> VarsSource:
        raise NotImplementedError

    def test_the_namespace_is_a_name_that_is_not_reserved(self) -> None:
        source = self.make()
        assert re.fullmatch(r"[A-Za-z0-9_-]+", source.namespace)
        assert source.namespace not in RESERVED

    def test_the_namespace_never_changes(self) -> None:
        source = self.make()
        assert len({source.namespace for _ in range(10)}) == 1

    def test_values_are_json_values(self) -> None:
        values = dict(self.make().variables())
        assert values
        assert msgspec.json.decode(msgspec.json.encode(values)) == values

    def test_keys_are_texts_without_the_namespace(self) -> None:
        source = self.make()
        for key in source.variables():
            assert type(key) is str
            assert key
            assert not key.startswith(f"{source.namespace}.")

    def test_the_mapping_is_fresh_to_its_depth(self) -> None:
        source = self.make()
        before = msgspec.json.encode(dict(source.variables()))
        given = dict(source.variables())
        for value in given.values():
            if isinstance(value, dict):
                value["changed"] = True
            elif isinstance(value, list):
                value.append("changed")
        mapping = source.variables()
        if isinstance(mapping, dict):
            mapping.clear()
        assert msgspec.json.encode(dict(source.variables())) == before

    async def test_it_answers_at_once(self) -> None:
        source = self.make()
        began = time.perf_counter()
        for _ in range(20):
            answer: object = source.variables()
            if inspect.iscoroutine(answer):
                answer.close()
            assert not inspect.isawaitable(answer)
        assert time.perf_counter() - began < 0.2
