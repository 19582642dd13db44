"""The registry and the executors keep their promises, and the suites find those that do not."""

import asyncio

import pytest

from aether.adapters.executor import (
    AwaitExecutor,
    EchoExecutor,
    Executors,
    FunctionExecutor,
    HttpExecutor,
    ShellExecutor,
)
from aether.ports import Field, Outcome, Schema
from aether.testing.executor_contract import ExecutorContract, ExecutorRegistryContract
from aether.testing.suites import rejects


class TestExecutors(ExecutorRegistryContract):
    def make(self):
        return Executors()


class TestEcho(ExecutorContract):
    inputs = {"a": 1, "b": [None, {"c": "ü"}]}

    def make(self):
        return EchoExecutor()


class TestAwait(ExecutorContract):
    inputs = {"message": "may I?"}

    def make(self):
        return AwaitExecutor()


class TestAsyncFunction(ExecutorContract):
    inputs = {"seconds": 0}
    long_inputs = {"seconds": 3600}

    def make(self):
        async def nap(seconds: float) -> dict:
            await asyncio.sleep(seconds)
            return {"slept": seconds}

        return FunctionExecutor("nap", nap)


class TestPlainFunction(ExecutorContract):
    inputs = {"a": 1, "b": 2}

    def make(self):
        def add(a: int, b: int):
            return a + b

        return FunctionExecutor("add", add)


class TestShell(ExecutorContract):
    inputs = {"command": ["printf", "hello"]}
    long_inputs = {"command": ["sleep", "3600"]}

    def make(self):
        return ShellExecutor()


class TestHttp(ExecutorContract):
    inputs = {"url": "http://127.0.0.1:9/refused"}  # nobody listens there: an ERROR, and at once

    def make(self):
        return HttpExecutor()


class OverwritingRegistry(Executors):
    def register(self, executor):
        self.unregister(executor.schema.type)
        super().register(executor)


class UnsortedRegistry(Executors):
    def types(self):
        return list(self._executors)


class RaisingRegistry(Executors):
    def get(self, executor_type):
        return self._executors[executor_type]


class ForgetfulRegistry(Executors):
    """Announced types are not remembered."""

    def register_schema(self, schema):
        return


class ListsAnnouncedTypes(Executors):
    def types(self):
        return sorted(self._schemas)


class KeepsSchemas(Executors):
    def unregister(self, executor_type):
        self._executors.pop(executor_type, None)
        self._types = tuple(sorted(self._executors))


class HandsOutItsOwnList(Executors):
    def types(self):
        self._own = sorted(self._executors) if not hasattr(self, "_own") else self._own
        return self._own


class TakesAnyName(Executors):
    def register(self, executor):
        self._executors[executor.schema.type] = executor
        self._schemas[executor.schema.type] = executor.schema


REGISTRIES = (
    OverwritingRegistry,
    UnsortedRegistry,
    RaisingRegistry,
    ForgetfulRegistry,
    ListsAnnouncedTypes,
    KeepsSchemas,
    HandsOutItsOwnList,
    TakesAnyName,
)


@pytest.mark.parametrize("broken", REGISTRIES, ids=lambda broken: broken.__name__)
def test_the_suite_finds_a_registry_that_is_broken(broken):
    rejects(ExecutorRegistryContract, broken)


class Good:
    schema = Schema(type="good", outputs=(Field("a"),))

    async def execute(self, request):
        return {"a": 1}


class NotAsync(Good):
    def execute(self, request):
        return {"a": 1}


class AnswersGarbage(Good):
    async def execute(self, request):
        return 42


class AnswersWithoutJson(Good):
    async def execute(self, request):
        return {"a": object()}


class AnswersTextCodes(Good):
    async def execute(self, request):
        return Outcome(code="fine")


class AnswersMoreThanItDeclares(Good):
    async def execute(self, request):
        return {"b": 1}


class HasNoType(Good):
    schema = Schema(type="")


class SharesState(Good):
    """The second of two executions at the same time sees what the first one left."""

    schema = Schema(type="shared")
    busy = 0

    async def execute(self, request):
        self.busy += 1
        await asyncio.sleep(0)
        return {f"output-{self.busy}": 1}


class HangsOnOddInputs(Good):
    async def execute(self, request):
        if "no such input" in request.inputs:
            await asyncio.get_running_loop().create_future()
        return {"a": 1}


class SwallowsCancellation(Good):
    async def execute(self, request):
        if not request.inputs.get("long"):
            return {"a": 1}
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return {"a": 1}


BROKEN = (
    NotAsync,
    AnswersGarbage,
    AnswersWithoutJson,
    AnswersTextCodes,
    AnswersMoreThanItDeclares,
    HasNoType,
    SharesState,
    HangsOnOddInputs,
    SwallowsCancellation,
)


class LongContract(ExecutorContract):
    long_inputs = {"long": True}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_the_suite_finds_an_executor_that_is_broken(broken):
    rejects(
        LongContract if broken is SwallowsCancellation else ExecutorContract, broken, seconds=0.3
    )
