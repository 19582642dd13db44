"""Executor: runs tasks of one type; and the registry that finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ..record import Field as Field
from ..record import NamedValue
from ..record import Schema as Schema

SUCCEEDED, SUSPENDED, FAILED, ERROR, TIMEOUT, RECORDED = range(6)
"""Result codes. Executors never name phases; any other code counts as ERROR. RECORDED says that what
came of it was told to the journal already: the result itself changes nothing."""


class Request(msgspec.Struct, kw_only=True):
    """One attempt at one task, as an executor sees it. Inputs are a private copy: change them freely.

    `parameters` holds the same values with their declared types, in order. `artifacts` names the
    files that input artifacts were downloaded to; an output artifact is whatever the executor leaves
    under `output_dir / <artifact name>`. Both are None or empty when the task declares no artifact.
    `epoch` and `delivery` are the fence of this delivery; `encoded` are the inputs as they were recorded.
    `beat`, which any thread may call, tells that the attempt is alive and, encoded, how far it is; the
    next attempt finds that in `details`.
    """

    run_id: str
    task_run_id: str
    task_name: str
    template_name: str = ""
    executor_type: str
    inputs: dict[str, Any] = {}
    parameters: Sequence[NamedValue] = ()
    resources: Mapping[str, Any] | None = None
    timeout: timedelta | None = None
    attempt: int = 1
    retry_count: int = 0
    resumed: bool = False
    epoch: int = 1
    delivery: int = 1
    encoded: bytes | None = None
    details: bytes | None = None
    beat: Callable[[bytes | None], None] | None = None
    artifacts: Mapping[str, Path] = {}
    output_dir: Path | None = None


class Outcome(msgspec.Struct, omit_defaults=True):
    """What came of an attempt. `error_type` is matched by `retry.nonRetryable`."""

    code: int = SUCCEEDED
    message: str = ""
    parameters: list[NamedValue] = []
    artifacts: dict[str, Any] = {}
    error_type: str = ""

    @classmethod
    def succeeded(cls, **outputs: Any) -> Outcome:
        return cls(SUCCEEDED, "", [NamedValue(name, "", value) for name, value in outputs.items()])

    @classmethod
    def suspended(cls, message: str = "", **outputs: Any) -> Outcome:
        return cls(SUSPENDED, message, cls.succeeded(**outputs).parameters)

    @classmethod
    def failed(cls, message: str, error_type: str = "") -> Outcome:
        return cls(FAILED, message, error_type=error_type)

    @classmethod
    def error(cls, message: str, error_type: str = "") -> Outcome:
        return cls(ERROR, message, error_type=error_type)

    @classmethod
    def timeout(cls, message: str) -> Outcome:
        return cls(TIMEOUT, message, error_type="timeout")


class Executor(Protocol):
    """Runs tasks of the type that `schema.type` names.

    `execute` is awaited once for each delivery, in the worker's event loop, many at the same time. It
    returns an Outcome, or a mapping of output names to values (code 0), or None (code 0, no outputs).
    An exception becomes code 3, ERROR, with the exception's class name as `error_type`. It is
    cancelled when the task is cancelled or timed out, and should let the cancellation through; what
    it returns after that is dropped. It must not block the loop. The same task may be delivered
    more than once: the effect is at least once, only the record is exactly once.
    """

    @property
    def schema(self) -> Schema: ...

    async def execute(self, request: Request) -> Outcome | Mapping[str, Any] | None: ...


class ExecutorRegistry(Protocol):
    """Executors by type. Registering a type twice raises Refused `executor-exists`, a type that is no
    name Refused `executor-type`; `get` and `schema` of an unknown type return None. `register_schema`
    announces a type that another process serves: it has a schema here and no executor; registering its
    executor later is no duplicate, and announcing again replaces the schema unless an executor is
    here. `types` lists the types whose executor is here, `schemas` every schema; both are sorted by
    type, and copies. `unregister` takes executor and schema away; of an unknown type it does nothing."""

    def register(self, executor: Executor) -> None: ...

    def register_schema(self, schema: Schema) -> None: ...

    def unregister(self, executor_type: str) -> None: ...

    def get(self, executor_type: str) -> Executor | None: ...

    def schema(self, executor_type: str) -> Schema | None: ...

    def types(self) -> Sequence[str]: ...

    def schemas(self) -> Sequence[Schema]: ...
