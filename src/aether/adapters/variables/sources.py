"""What documents may know about where they run.

In: nothing but the environment or a mapping. Out: JSON values under a namespace. Never: secrets.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from typing import Any

import msgspec

NAMESPACE = re.compile(r"[A-Za-z0-9_-]+")
RESERVED = frozenset({"workflow", "inputs", "tasks", "loop_iter", "iterator"})
NEVER_SHOWN = "AETHER_SECRET_"

ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "x86": "386",
    "armv6l": "arm",
    "armv7l": "arm",
    "loongarch64": "loong64",
}


def checked_namespace(namespace: str) -> str:
    if not NAMESPACE.fullmatch(namespace):
        raise ValueError(f"namespace {namespace!r}: use letters, digits, '-' and '_'")
    if namespace in RESERVED:
        raise ValueError(f"namespace {namespace!r} belongs to the protocol: choose another")
    return namespace


class SystemVars:
    """`system.os` (linux, darwin, windows, …) and `system.arch` (amd64, arm64, 386, …)."""

    namespace = "system"

    def variables(self) -> Mapping[str, Any]:
        machine = platform.machine().lower()
        return {
            "os": platform.system().lower(),
            "arch": ARCHITECTURES.get(machine, machine),
        }


class EnvVars:
    """The environment's variables that begin with `prefix`: `APP_REGION` is `<namespace>.REGION` for
    the prefix `APP_`. Variables that EnvSecrets reads (`AETHER_SECRET_…`) are never among them."""

    def __init__(
        self, namespace: str, prefix: str, environment: Mapping[str, str] | None = None
    ) -> None:
        if not prefix:
            raise ValueError(
                "prefix is empty: that would record the whole environment with every run; "
                "choose a prefix such as 'APP_'"
            )
        self._namespace = checked_namespace(namespace)
        self._prefix = prefix
        self._environment = os.environ if environment is None else environment

    @property
    def namespace(self) -> str:
        return self._namespace

    def variables(self) -> Mapping[str, Any]:
        start = len(self._prefix)
        return {
            name[start:]: value
            for name, value in self._environment.items()
            if name.startswith(self._prefix)
            and len(name) > start
            and not name.startswith(NEVER_SHOWN)
        }


class StaticVars:
    """A mapping as it was when given: later changes of it are not seen."""

    def __init__(self, namespace: str, mapping: Mapping[str, Any]) -> None:
        self._namespace = checked_namespace(namespace)
        if not all(isinstance(key, str) and key for key in mapping):
            raise ValueError(f"variables of '{namespace}': every key must be a text, and not empty")
        try:
            self._text = msgspec.json.encode(dict(mapping))
        except (TypeError, ValueError) as exc:
            raise ValueError(f"variables of '{namespace}' must be JSON values: {exc}") from exc

    @property
    def namespace(self) -> str:
        return self._namespace

    def variables(self) -> Mapping[str, Any]:
        values: dict[str, Any] = msgspec.json.decode(self._text)
        return values
