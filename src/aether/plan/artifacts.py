"""Artifacts: which files a task gets, and where what it makes is kept."""

from __future__ import annotations

from typing import Any

from ..record import decode_json, encode_json, task_run_id
from .spec import ArtifactSlot, NodeSpec
from .state import DagScope, Node
from .turn import Turn


def bind_artifacts(turn: Turn, node: Node) -> str:
    """Find the sources of a task's input artifacts; answers what is missing."""
    slots = node.spec.binding.artifacts
    if not slots:
        return ""
    found: dict[str, Any] = {}
    for slot in slots:
        place = place_of(slot, node)
        if place is None:
            return f"artifact '{slot.name}' does not exist: nothing at '{slot.from_}'"
        found[slot.name] = place
    turn.set_task(node, artifacts_in=encode_json(found))
    return ""


def place_of(slot: ArtifactSlot, node: Node) -> dict[str, Any] | None:
    """The stored place of one artifact as `node` sees it, or None."""
    if not slot.from_:
        return {"type": slot.type, "config": slot.config, "archive": slot.archive}
    scope = node.parent
    if slot.from_.startswith("inputs.artifacts."):
        owner = scope.node
        places = owner.row.artifacts_in if owner else None
        return _member(places, slot.from_[len("inputs.artifacts.") :])
    if slot.from_.startswith("tasks.") and isinstance(scope, DagScope):
        return sibling_artifact(scope, slot.from_[len("tasks.") :])
    return None


def sibling_artifact(scope: DagScope, path: str) -> dict[str, Any] | None:
    name, _, artifact = path.partition(".outputs.artifacts.")
    sibling = scope.named(name)
    return _member(sibling.row.artifacts_out, artifact) if sibling else None


def kept_at(slot: ArtifactSlot, run_id: str, ordinal: int) -> dict[str, Any]:
    """Where an output artifact goes: where the document says, else under the task run's own name."""
    if slot.type:
        return {"type": slot.type, "config": slot.config, "archive": slot.archive}
    path = f"{run_id}/{task_run_id(run_id, ordinal)}/{slot.name}"
    return {"type": "local", "config": {"path": path}, "archive": slot.archive}


def uploaded(spec: NodeSpec, run_id: str, ordinal: int, configs: bytes) -> bytes | None:
    """What a worker says it has uploaded (name to config), as places that others can chain to."""
    given = decode_json(configs)
    found = {
        slot.name: kept_at(slot, run_id, ordinal) | {"config": given[slot.name]}
        for slot in spec.output_artifacts
        if slot.name in given
    }
    return encode_json(found) if found else None


def container_artifacts(scope: DagScope) -> bytes | None:
    """What a DAG's declared output artifacts chain to."""
    found: dict[str, Any] = {}
    for slot in scope.spec.output_artifacts:
        place = sibling_artifact(scope, slot.from_.removeprefix("tasks."))
        if place is not None:
            found[slot.name] = place
    return encode_json(found) if found else None


def _member(places: bytes | None, name: str) -> dict[str, Any] | None:
    if not places:
        return None
    found: dict[str, Any] | None = decode_json(places).get(name)
    return found
