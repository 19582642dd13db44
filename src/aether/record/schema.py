"""What an executor type takes and gives, as validation, storage and workers know it."""

from __future__ import annotations

import msgspec

from .limits import Want


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """One declared input or output of an executor type."""

    name: str
    type: str = "any"
    required: bool = False
    description: str = ""


class Schema(msgspec.Struct, frozen=True, omit_defaults=True):
    """`inputs` None accepts anything; `outputs` None may return anything; an empty tuple means "none
    at all". A schema that is not None (closed) is checked at submit, as far as the document tells, and
    at completion."""

    type: str
    version: str = ""
    description: str = ""
    inputs: tuple[Field, ...] | None = None
    outputs: tuple[Field, ...] | None = None
    limits: tuple[Want, ...] = ()  # of a workflow function, with patterns for keys
