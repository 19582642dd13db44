"""Executors: the registry of one process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...errors import Problem, Refused
from ...ports import Executor, Schema

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.:/@]{0,126}[A-Za-z0-9])?")


class Executors:
    """An ExecutorRegistry in memory, filled with `executors` to begin with."""

    def __init__(self, executors: Iterable[Executor] = ()) -> None:
        self._executors: dict[str, Executor] = {}
        self._schemas: dict[str, Schema] = {}
        self._types: tuple[str, ...] = ()
        for executor in executors:
            self.register(executor)

    def register(self, executor: Executor) -> None:
        schema = executor.schema
        _check(schema)
        if schema.type in self._executors:
            raise Refused(
                Problem(
                    "executor-exists",
                    f"an executor of type '{schema.type}' is registered already",
                    fix="give one of the two another type, or unregister the first",
                )
            )
        self._executors[schema.type] = executor
        self._schemas[schema.type] = schema
        self._types = tuple(sorted(self._executors))

    def register_schema(self, schema: Schema) -> None:
        _check(schema)
        if schema.type not in self._executors:
            self._schemas[schema.type] = schema

    def unregister(self, executor_type: str) -> None:
        self._executors.pop(executor_type, None)
        self._schemas.pop(executor_type, None)
        self._types = tuple(sorted(self._executors))

    def get(self, executor_type: str) -> Executor | None:
        return self._executors.get(executor_type)

    def schema(self, executor_type: str) -> Schema | None:
        return self._schemas.get(executor_type)

    def types(self) -> Sequence[str]:
        return self._types

    def schemas(self) -> Sequence[Schema]:
        return [self._schemas[name] for name in sorted(self._schemas)]


def _check(schema: Schema) -> None:
    if not isinstance(schema.type, str) or not _NAME.fullmatch(schema.type):
        raise Refused(
            Problem(
                "executor-type",
                f"'{schema.type}' cannot be an executor type",
                fix="use 1 to 128 letters, digits and - _ . : / @, beginning and ending with a "
                "letter or digit",
            )
        )
