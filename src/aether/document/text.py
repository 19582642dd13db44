"""`load`: text in, a Source out. `dump` and `decode` go the other way."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..errors import InvalidDocument, Problem, Where
from .json_text import read_json
from .model import AnyDocument, CronWorkflow, Workflow, WorkflowTemplate
from .source import Source
from .yaml_text import dump_yaml, read_yaml

KINDS: dict[str, type[AnyDocument]] = {
    "Workflow": Workflow,
    "CronWorkflow": CronWorkflow,
    "WorkflowTemplate": WorkflowTemplate,
}


def load(text: str | bytes, file: str = "") -> Source:
    """The one document in `text`, JSON or YAML. Raises InvalidDocument."""
    sources = load_all(text, file)
    if len(sources) > 1:
        raise InvalidDocument(
            Problem(
                "several-documents",
                f"the text holds {len(sources)} documents where one is expected",
                Where(file),
                "split the file at the lines '---'",
            )
        )
    return sources[0]


def load_all(text: str | bytes, file: str = "") -> list[Source]:
    """Every document in `text`; never an empty list. Raises InvalidDocument."""
    text = _as_text(text, file)
    start = text.lstrip()[:1]
    if not start:
        raise InvalidDocument(_empty(file))
    is_yaml = file.endswith((".yaml", ".yml"))
    if file.endswith(".json") or (not is_yaml and start in "{["):
        return [read_json(text, file)]
    sources = [source for source in read_yaml(text, file) if source.data is not None]
    if not sources:
        raise InvalidDocument(_empty(file))
    return sources


def dump(document: AnyDocument | dict[str, Any], form: Literal["json", "yaml"] = "json") -> str:
    """`document` as text that loads to the same document again."""
    plain = document if isinstance(document, dict) else msgspec.to_builtins(document)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"
    return dump_yaml(plain)


class _Kind(msgspec.Struct):
    kind: str = "Workflow"


_read_kind = msgspec.json.Decoder(_Kind).decode
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}


def decode(text: bytes) -> AnyDocument:
    """A document from the canonical text of a `Checked`: what stores keep."""
    return _DECODERS[_read_kind(text).kind].decode(text)


def encode(document: AnyDocument) -> bytes:
    """The canonical text of a document: compact JSON, members in the order of the protocol."""
    return msgspec.json.encode(document)


def _as_text(text: str | bytes, file: str) -> str:
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as exc:
        line = text.count(b"\n", 0, exc.start) + 1
        column = exc.start - text.rfind(b"\n", 0, exc.start)
        place = Where(file, line, column)
        problem = Problem("not-utf8", "the text is not UTF-8", place, "save the file as UTF-8")
        raise InvalidDocument(problem) from exc


def _empty(file: str) -> Problem:
    return Problem(
        "empty-document",
        "there is no document in the text",
        Where(file),
        "begin with 'apiVersion: aether/v1' and 'kind: Workflow'",
    )
