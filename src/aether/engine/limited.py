"""Limits of runs as they begin: what a function's workers have announced, and what a parent holds already."""

from __future__ import annotations

from ..errors import Problem, Refused
from ..ports import FunctionStart, Schema
from ..record import (
    CALLED,
    ChildOptions,
    RunRow,
    Slots,
    TaskRow,
    Want,
    as_mapping,
    wanted,
)


def slots_of(start: FunctionStart, schema: Schema | None, above: RunRow | None) -> Slots | None:
    """The slots that a run of a function needs. Raises Refused if they cannot be told."""
    wants = start.limits
    if wants is None:
        wants = _announced(start, schema) if schema is not None and schema.limits else ()
    slots = covering(above)
    if slots is not None:
        wants = tuple(want for want in wants if want.key not in slots.covered)
    if not wants:
        return slots
    covered = () if slots is None else slots.covered
    return Slots(wants=wants, priority=start.priority, covered=covered)


def covering(above: RunRow | None) -> Slots | None:
    """What a parent holds does for its children: they would wait for it, and it for them."""
    if above is None or above.slots is None:
        return None
    keys = {*above.slots.covered, *(want.key for want in above.slots.wants)}
    return Slots(wants=(), covered=tuple(sorted(keys)), taken=0)


def ends_with_parent(row: TaskRow, options: ChildOptions) -> bool:
    """Whether the parent holds what it holds for as long as the child lives."""
    return row.kind != "continue" and options.on_parent_end == "cancel"


def there_already(start: FunctionStart, run_id: str) -> str:
    """The run that there is. Raises Refused where that is not what was asked for."""
    if start.on_existing != "fail":
        return run_id
    raise Refused(
        Problem(
            "singleton-running",
            f"run {run_id} of '{start.name}' is not over, and there is one at a time",
            fix="wait for it, cancel it, or start without `on_existing` to attach to it",
        )
    )


def _announced(start: FunctionStart, schema: Schema) -> tuple[Want, ...]:
    declared = schema.limits
    if any(CALLED in (want.key, want.group) for want in declared):
        raise _unknown(start.name, "a function makes the key, which only its own code can call")
    try:
        return wanted(declared, as_mapping(start.inputs))
    except KeyError as missing:
        raise _unknown(start.name, f"there is no argument '{missing.args[0]}'") from None


def _unknown(name: str, why: str) -> Refused:
    return Refused(
        Problem(
            "limits-unknown",
            f"the limits of '{name}' cannot be told for this start: {why}",
            fix='start it from the code that defines it, or name arguments in the key: "db:{name}"',
        )
    )
