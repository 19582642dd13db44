"""What every ExecutorRegistry, and every Executor, promises."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from ..errors import Refused
from ..ports import Executor, ExecutorRegistry, Field, Outcome, Request, Schema
from ..record import encode_values, named_values
from .suites import ContractSuite


class NamedExecutor:
    """An executor that does nothing but have a type."""

    def __init__(self, executor_type: str, version: str = "") -> None:
        self.schema = Schema(type=executor_type, version=version)

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any] | None:
        return None


class ExecutorRegistryContract(ContractSuite):
    """`make` returns an empty registry."""

    def make(self) -> ExecutorRegistry:
        raise NotImplementedError

    def test_what_is_registered_is_found_by_its_type(self) -> None:
        registry = self.make()
        one, other = NamedExecutor("one"), NamedExecutor("other")
        registry.register(one)
        registry.register(other)
        assert registry.get("one") is one
        assert registry.get("other") is other
        assert registry.schema("one") == Schema(type="one")

    def test_a_type_registered_twice_is_refused_and_the_first_stays(self) -> None:
        registry = self.make()
        first = NamedExecutor("one")
        registry.register(first)
        with pytest.raises(Refused) as refused:
            registry.register(NamedExecutor("one"))
        assert refused.value.code == "executor-exists"
        assert registry.get("one") is first

    def test_a_type_that_is_no_name_is_refused(self) -> None:
        registry = self.make()
        for text in ("", " ", "a b", "x\n", "-x"):
            with pytest.raises(Refused) as refused:
                registry.register(NamedExecutor(text))
            assert refused.value.code == "executor-type"
            with pytest.raises(Refused):
                registry.register_schema(Schema(type=text))
        assert list(registry.schemas()) == []

    def test_an_unknown_type_is_none(self) -> None:
        registry = self.make()
        assert registry.get("one") is None
        assert registry.schema("one") is None

    def test_an_announced_type_has_a_schema_and_no_executor(self) -> None:
        registry = self.make()
        announced = Schema(type="far", inputs=(Field("x", "int", True),))
        registry.register_schema(announced)
        assert registry.schema("far") == announced
        assert registry.get("far") is None
        assert list(registry.types()) == []

    def test_registering_an_announced_type_is_no_duplicate(self) -> None:
        registry = self.make()
        registry.register_schema(Schema(type="far", version="announced"))
        executor = NamedExecutor("far", "here")
        registry.register(executor)
        assert registry.get("far") is executor
        assert registry.schema("far") == Schema(type="far", version="here")

    def test_announcing_again_replaces_the_schema(self) -> None:
        registry = self.make()
        registry.register_schema(Schema(type="far", version="1"))
        registry.register_schema(Schema(type="far", version="2"))
        assert registry.schema("far") == Schema(type="far", version="2")

    def test_announcing_does_not_replace_the_schema_of_an_executor_that_is_here(self) -> None:
        registry = self.make()
        registry.register(NamedExecutor("one", "here"))
        registry.register_schema(Schema(type="one", version="announced"))
        assert registry.schema("one") == Schema(type="one", version="here")

    def test_types_are_those_with_an_executor_sorted(self) -> None:
        registry = self.make()
        for name in ("m", "b", "z", "a"):
            registry.register(NamedExecutor(name))
        registry.register_schema(Schema(type="far"))
        assert list(registry.types()) == ["a", "b", "m", "z"]

    def test_schemas_are_all_schemas_sorted_by_type(self) -> None:
        registry = self.make()
        registry.register(NamedExecutor("z"))
        registry.register_schema(Schema(type="m"))
        registry.register(NamedExecutor("a"))
        assert [schema.type for schema in registry.schemas()] == ["a", "m", "z"]

    def test_lists_are_copies(self) -> None:
        registry = self.make()
        registry.register(NamedExecutor("a"))
        types, schemas = registry.types(), registry.schemas()
        registry.register(NamedExecutor("b"))
        assert (len(types), len(schemas)) == (1, 1)
        for copied in (registry.types(), registry.schemas()):
            if isinstance(copied, list):
                copied.clear()
        assert len(registry.types()) == len(registry.schemas()) == 2

    def test_unregister_takes_executor_and_schema_away(self) -> None:
        registry = self.make()
        registry.register(NamedExecutor("one"))
        registry.register_schema(Schema(type="far"))
        registry.unregister("one")
        registry.unregister("far")
        assert registry.get("one") is None
        assert registry.schema("one") is None
        assert list(registry.types()) == []
        assert list(registry.schemas()) == []
        registry.register(NamedExecutor("one"))
        assert list(registry.types()) == ["one"]

    def test_unregister_of_an_unknown_type_does_nothing(self) -> None:
        registry = self.make()
        registry.register(NamedExecutor("one"))
        registry.unregister("other")
        assert list(registry.types()) == ["one"]


class ExecutorContract(ContractSuite):
    """`make` returns an executor. `inputs` are inputs with which it ends by itself, quickly and without
    an exception; `long_inputs`, if it can run long, are such that it does not end by itself."""

    inputs: Mapping[str, Any] = {}
    long_inputs: Mapping[str, Any] | None = None

    def make(self) -> Executor:
        raise NotImplementedError

    def test_it_has_a_schema_with_its_type_that_stays_the_same(self) -> None:
        executor = self.make()
        schema = executor.schema
        assert isinstance(schema, Schema)
        assert schema.type
        assert executor.schema == schema
        for fields in (schema.inputs, schema.outputs):
            names = [field.name for field in fields or ()]
            assert len(set(names)) == len(names)

    async def test_execute_is_awaited(self) -> None:
        executor = self.make()
        pending = executor.execute(self.request(executor))
        assert inspect.isawaitable(pending), "execute must be async"
        await pending

    async def test_its_answer_is_an_outcome_a_mapping_or_none(self) -> None:
        executor = self.make()
        answer = await executor.execute(self.request(executor))
        assert answer is None or isinstance(answer, Outcome | Mapping)
        if isinstance(answer, Outcome):
            assert type(answer.code) is int
            assert isinstance(answer.message, str)

    async def test_its_outputs_have_names_and_can_be_written_as_json(self) -> None:
        executor = self.make()
        answer = await executor.execute(self.request(executor))
        values = answer.parameters if isinstance(answer, Outcome) else named_values(answer or {})
        assert all(isinstance(value.name, str) and value.name for value in values)
        encode_values(values)

    async def test_a_closed_schema_names_every_output(self) -> None:
        executor = self.make()
        answer = await executor.execute(self.request(executor))
        if executor.schema.outputs is None:
            return
        declared = {field.name for field in executor.schema.outputs}
        values = answer.parameters if isinstance(answer, Outcome) else named_values(answer or {})
        assert {value.name for value in values} <= declared

    async def test_a_closed_schema_takes_the_inputs(self) -> None:
        schema = self.make().schema
        if schema.inputs is None:
            return
        declared = {field.name for field in schema.inputs}
        assert set(self.inputs) <= declared
        assert {field.name for field in schema.inputs if field.required} <= set(self.inputs)

    async def test_many_executions_at_once_do_not_disturb_each_other(self) -> None:
        executor = self.make()
        alone = _essence(await executor.execute(self.request(executor)))
        many = await asyncio.gather(
            *(executor.execute(self.request(executor, f"run.{n}")) for n in range(8))
        )
        assert [_essence(answer) for answer in many] == [alone] * 8

    async def test_missing_and_odd_inputs_get_an_answer_or_an_exception_and_never_hang(
        self,
    ) -> None:
        executor = self.make()
        odd: list[dict[str, Any]] = [{}, {"no such input": {"deep": [None]}}]
        odd.append({name: [[]] for name in self.inputs})
        for inputs in odd:
            try:
                answer = await executor.execute(self.request(executor, inputs=inputs))
            except Exception:  # noqa: BLE001, S112 - an exception is an answer: the worker makes it an ERROR
                continue
            assert answer is None or isinstance(answer, Outcome | Mapping)

    async def test_a_cancellation_goes_through(self) -> None:
        if self.long_inputs is None:
            return
        executor = self.make()
        request = self.request(executor, inputs=self.long_inputs)
        running = asyncio.ensure_future(_awaited(executor, request))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not running.done(), "`long_inputs` must make it run until it is cancelled"
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled(), f"it answered {running.result()!r} to its cancellation"

    def request(
        self,
        executor: Executor,
        task_run_id: str = "run.0",
        inputs: Mapping[str, Any] | None = None,
    ) -> Request:
        values = copy.deepcopy(dict(self.inputs if inputs is None else inputs))
        return Request(
            run_id="run",
            task_run_id=task_run_id,
            task_name="task",
            executor_type=executor.schema.type,
            inputs=values,
            parameters=named_values(values),
        )


async def _awaited(executor: Executor, request: Request) -> object:
    return await executor.execute(request)


def _essence(answer: Outcome | Mapping[str, Any] | None) -> tuple[int, frozenset[str]]:
    """What two executions with equal inputs must have in common: code and names of outputs."""
    if isinstance(answer, Outcome):
        return answer.code, frozenset(value.name for value in answer.parameters)
    return 0, frozenset(answer or ())
