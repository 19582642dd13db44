"""The command line's own wiring: which variables a run sees, and how the engine is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from ..adapters.cron import ManualScheduler
from ..adapters.errors import CollectingSink
from ..adapters.variables import StaticVars, SystemVars
from ..app import Aether
from ..errors import Problem, Refused
from ..ports import VarsSource
from ..record import ACTION_LOG
from .arguments import variable_sources
from .inspection import ENCRYPTION

# What assertion files written for the protocol's playground rely on.
PLAYGROUND = {"deploy": {"cluster": "prod-cluster", "region": "ap-east-1"}}


def open_app(
    url: str,
    *,
    evaluator: str,
    variables: Sequence[VarsSource],
    history: bool,
    faults: CollectingSink,
    tier: str = ACTION_LOG,
) -> Aether:
    """An engine that fires crons when told and at no other time."""
    return Aether(
        url,
        evaluator=evaluator,
        variables=variables,
        history=history,
        cron_scheduler=ManualScheduler(),
        error_sink=faults,
        tier=tier,
        encryption=os.environ.get(ENCRYPTION, ""),
    )


def variables(texts: Iterable[str], playground: bool) -> list[VarsSource]:
    """A source for each namespace of `--vars`; what is given there wins over the playground's."""
    sources: dict[str, dict[str, object]] = {}
    if playground:
        sources = {namespace: dict(named) for namespace, named in PLAYGROUND.items()}
    for namespace, named in variable_sources(texts).items():
        sources.setdefault(namespace, {}).update(named)
    return [_source(namespace, named) for namespace, named in sources.items()]


def platform_names() -> dict[str, str]:
    """What documents read as `system.os` and `system.arch`."""
    system = SystemVars().variables()
    return {name: str(system[name]) for name in ("os", "arch")}


def _source(namespace: str, named: dict[str, object]) -> VarsSource:
    try:
        return StaticVars(namespace, named)
    except ValueError as exc:
        raise Refused(
            Problem("bad-argument", f"`--vars`: {exc}", fix="write --vars namespace.name=value")
        ) from exc
