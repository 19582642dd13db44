"""`name=value` texts of the command line, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..document import parse_duration
from ..errors import Problem, Refused


def split_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """Raises Refused for every text without `=`, and for a name that is given twice."""
    found: dict[str, str] = {}
    problems = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            problems.append(
                Problem(
                    "bad-argument",
                    f"`{option} {text}` does not name a value",
                    fix=f"write {option} name=value",
                )
            )
        elif name in found:
            problems.append(
                Problem("bad-argument", f"`{option} {name}` is given twice", fix="keep one of them")
            )
        else:
            found[name] = value
    if problems:
        raise Refused(problems)
    return found


def value_of(text: str, type_name: str = "") -> Any:
    """`text` as JSON if it is JSON, else as it is. What is declared `string` is never read as JSON.

    A value that does not fit its declared type is left for submit to refuse: it knows the place.
    """
    if type_name == "string":
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def argument_values(texts: Iterable[str], declared: Mapping[str, str]) -> dict[str, Any]:
    """`declared` gives the type of each declared parameter."""
    return {
        name: value_of(text, declared.get(name, ""))
        for name, text in split_pairs(texts, "-a").items()
    }


def declared_types(document: Any, templates: Iterable[Any] = ()) -> dict[str, str]:
    """Name -> type of the parameters that a document declares, or the template that it refers to.

    Whatever is malformed is left to submit."""
    spec = _member(document, "spec")
    spec = _member(spec, "workflowSpec") or spec
    reference = _member(_member(spec, "workflowTemplateRef"), "name")
    for template in templates:
        if reference is not None and _member(_member(template, "metadata"), "name") == reference:
            spec = _member(template, "spec")
    parameters = _member(_member(spec, "arguments"), "parameters")
    return {
        parameter["name"]: parameter["type"]
        for parameter in (parameters if isinstance(parameters, list) else ())
        if isinstance(_member(parameter, "name"), str)
        and isinstance(_member(parameter, "type"), str)
    }


def variable_sources(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`deploy.cluster=prod` as {"deploy": {"cluster": "prod"}}."""
    sources: dict[str, dict[str, Any]] = {}
    for name, text in split_pairs(texts, "--vars").items():
        namespace, dot, key = name.partition(".")
        if not dot or not namespace or not key:
            raise Refused(
                Problem(
                    "bad-argument",
                    f"`--vars {name}` names no namespace",
                    fix=f"write --vars namespace.{key or namespace or 'name'}=value",
                )
            )
        sources.setdefault(namespace, {})[key] = value_of(text)
    return sources


def seconds_of(text: str, option: str) -> float:
    """A positive duration such as `30s`, or a bare number of seconds."""
    duration = parse_duration(text + "s" if text.replace(".", "", 1).isdigit() else text)
    if duration is None or not duration:
        raise Refused(
            Problem(
                "bad-argument",
                f"`{option} {text}` is no duration",
                fix=f"write {option} 30s, or 5m, 1h30m, 500ms",
            )
        )
    return duration.total_seconds()


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
