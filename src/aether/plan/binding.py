"""Filling values: from literals, references, expressions and placeholders to encoded inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import InvalidExpression
from ..expr import Env
from ..record import NamedValue, SecretRef, decode_values, encode_values
from ..validate import fits, type_name
from .spec import Binding, Slot, Source

Warn = Callable[[str], None]

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
"""What a look-up answers when there is no such key; null is a value."""


def look_up(env: Env, key: str) -> Any:
    """The value of `key`; else of its longest prefix that is a key, and then members of that."""
    value = env.get(key, MISSING)
    if value is not MISSING:
        return value
    head, dot, member = key.rpartition(".")
    members: list[str] = []
    while dot:
        members.append(member)
        value = env.get(head, MISSING)
        if value is not MISSING:
            for name in reversed(members):
                if not isinstance(value, dict) or name not in value:
                    return MISSING
                value = value[name]
            return value
        head, dot, member = head.rpartition(".")
    return MISSING


class Plain:
    """An Env for text and expressions: a secret reads `***`, because only dispatch may know it."""

    __slots__ = ("_env",)

    def __init__(self, env: Env) -> None:
        self._env = env

    def get(self, key: str, default: object = None, /) -> object:
        value = self._env.get(key, default)
        return "***" if isinstance(value, SecretRef) else value


class Layered:
    """A few keys in front of another Env."""

    __slots__ = ("_behind", "_front")

    def __init__(self, front: Mapping[str, Any], behind: Env) -> None:
        self._front, self._behind = front, behind

    def get(self, key: str, default: object = None, /) -> object:
        value = self._front.get(key, MISSING)
        return self._behind.get(key, default) if value is MISSING else value


def resolve(source: Source, env: Env, warn: Warn, name: str) -> Any:
    """The source's value, its default after a failure, or MISSING."""
    if source.key:
        value = look_up(env, source.key)
        if value is not MISSING:
            return value
        warn(f"'{name}' has no value from '{source.key}': there is no such key")
    elif source.program is not None:
        try:
            return source.program.evaluate(Plain(env))
        except InvalidExpression as exc:
            warn(f"'{name}' has no value: {exc.problems[0].what}")
    elif source.template is not None:
        return source.template.render(Plain(env), warn)
    elif source.secret is not None:
        return source.secret
    elif source.constant is not None:
        return source.constant
    if source.default_template is not None:
        return source.default_template.render(Plain(env), warn)
    return MISSING if source.default is None else source.default


def bind(binding: Binding, env: Env, warn: Warn) -> tuple[bytes | None, str]:
    """The inputs of a node, encoded, and what is wrong with them ("" if nothing)."""
    if not binding.varies:
        return binding.encoded, ""
    values, fault = fill(binding.slots, env, warn)
    return encode_values(values), fault


def fill(
    slots: Iterable[Slot],
    env: Env,
    warn: Warn,
    members: Mapping[str, Any] | None = None,
) -> tuple[list[NamedValue], str]:
    """Values in the order of `slots`. `members` of a loop's item go before what is merely declared."""
    values: list[NamedValue] = []
    fault = ""
    for slot in slots:
        if members is not None and not slot.from_call and slot.name in members:
            value = members[slot.name]
        elif slot.source is None:
            value = None
        else:
            value = resolve(slot.source, env, warn, slot.name)
        if isinstance(value, SecretRef):
            values.append(NamedValue(slot.name, slot.type, None, value))
            continue
        value = None if value is MISSING else value
        if slot.checked and not fault and not fits(slot.type, value):
            fault = (
                f"input '{slot.name}' is declared as {slot.type}, "
                f"but its text became {type_name(value)}"
            )
        values.append(NamedValue(slot.name, slot.type, value))
    return values, fault


def merge(values: bytes | None, later: Iterable[NamedValue]) -> bytes:
    """Encoded `values` with those of `later` replaced by name or added behind."""
    merged = {value.name: value for value in decode_values(values)}
    for value in later:
        known = merged.get(value.name)
        merged[value.name] = NamedValue(
            value.name, value.type or (known.type if known else ""), value.value, value.secret
        )
    return encode_values(merged.values())
