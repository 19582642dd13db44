"""VarsSource: variables that the engine offers to every document under one namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class VarsSource(Protocol):
    """`variables` is read once for each submit, and what it says is recorded with the run: a later change
    does not touch runs that exist. Values are JSON values; keys are texts, never empty and without the
    namespace. The namespace is a name of letters, digits, `-` and `_` that never changes, and none of
    `workflow`, `inputs`, `tasks`, `loop_iter`, `iterator`. `variables` does no I/O that can block, is
    not awaited, and returns a fresh mapping: changing it changes nothing."""

    @property
    def namespace(self) -> str: ...

    def variables(self) -> Mapping[str, Any]: ...
