"""What survives of results: whitelists of leaves, outputs of DAGs, aggregation of loops."""

from __future__ import annotations

from typing import Any

import msgspec

from ..record import (
    NamedValue,
    RawValue,
    as_mapping,
    decode_raw_values,
    decode_values,
    encode_json,
    encode_values,
)
from .binding import MISSING, Plain, Warn, resolve
from .env import OutputsEnv
from .spec import NodeSpec
from .state import DagScope, LoopScope, State

_NULL = b"null"
_encode_raw = msgspec.json.Encoder().encode


def keep_declared(spec: NodeSpec, outputs: bytes | None) -> bytes | None:
    """Declared outputs are a whitelist; without any, everything is kept."""
    if not spec.outputs:
        return outputs
    produced = {value.name: value for value in decode_raw_values(outputs)}
    kept: list[RawValue] = []
    for slot in spec.outputs:
        value = produced.get(slot.name)
        if value is not None and not _is_null(value.value):
            kept.append(RawValue(slot.name, value.type or slot.type, value.value))
        elif slot.literal is not None:
            kept.append(RawValue(slot.name, slot.type, msgspec.Raw(encode_json(slot.literal))))
    return _encode_raw(kept) if kept else None


def _is_null(raw: msgspec.Raw) -> bool:
    size = len(memoryview(raw))
    return size == 0 or (size == len(_NULL) and bytes(raw) == _NULL)


def dag_outputs(state: State, scope: DagScope, warn: Warn) -> bytes | None:
    """Each declared output from its reference, else its literal; what has neither is left out."""
    if scope.spec.passes_on:
        only = scope.children.get(0)
        return None if only is None else only.row.outputs
    env = Plain(OutputsEnv(state, scope))  # what a container gives out carries no secrets
    values: list[NamedValue] = []
    for slot in scope.spec.outputs:
        value = MISSING if slot.source is None else resolve(slot.source, env, warn, slot.name)
        if value is MISSING:
            if slot.literal is None:
                continue
            value = slot.literal
        values.append(NamedValue(slot.name, slot.type, value))
    return encode_values(values) if values else None


def loop_outputs(scope: LoopScope) -> bytes | None:
    spec = scope.spec
    if not scope.count:
        return _of_no_iteration(scope)
    if spec.strategy == "list":
        return _lists(scope)
    node = scope.first if spec.strategy == "first" else scope.last
    if node is None or not node.row.outputs:
        return None
    if not spec.keep:
        return node.row.outputs
    kept = [value for value in decode_values(node.row.outputs) if value.name in spec.keep]
    return encode_values(kept) if kept else None


def _lists(scope: LoopScope) -> bytes | None:
    """For every name an array with one member for each iteration; null where it gave nothing."""
    columns: dict[str, list[Any]] = {name: [] for name in scope.spec.keep}
    only_kept = bool(scope.spec.keep)
    for index, outputs in enumerate(scope.kept):
        if not outputs:
            continue
        for name, value in as_mapping(outputs).items():
            column = columns.get(name)
            if column is None:
                if only_kept:
                    continue
                column = columns[name] = []
            column.extend([None] * (index - len(column)))
            column.append(value)
    for column in columns.values():
        column.extend([None] * (len(scope.kept) - len(column)))
    if not columns:
        return None
    return encode_values(NamedValue(name, "", column) for name, column in columns.items())


def _of_no_iteration(scope: LoopScope) -> bytes | None:
    names = scope.spec.keep or scope.spec.output_names
    if scope.spec.strategy != "list" or not names:
        return None
    return encode_values(NamedValue(name, "", []) for name in names)
