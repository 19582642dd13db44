"""Is an artifact source right, and is there a repository for it?

In: a source as a document holds it. Out: problems. Never: I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import NOWHERE, Problem, Where
from ...ports import ArtifactRepository

OSS = ("bucket", "key", "endpoint")


def check_source(
    source_type: str,
    config: Mapping[str, Any],
    repositories: Mapping[str, ArtifactRepository],
    where: Where = NOWHERE,
) -> list[Problem]:
    """Every problem of one source: its type must be served, and its repository must accept the config.

    The members of `oss` are part of the protocol and are checked whether or not somebody serves it.
    """
    wrong = oss_faults(config) if source_type == "oss" else []
    repository = repositories.get(source_type)
    if repository is not None:
        wrong += [sentence for sentence in repository.check(config) if sentence not in wrong]
    problems = [
        Problem("artifact-config", f"this {source_type} artifact: {sentence}", where, _FIX)
        for sentence in wrong
    ]
    if repository is None:
        served = ", ".join(sorted(repositories)) or "none"
        problems.append(
            Problem(
                "artifact-repository-unknown",
                f"no repository serves artifacts of type '{source_type}' (served: {served})",
                where,
                f"register an ArtifactRepository whose type is '{source_type}', "
                "or use a type that is served",
            )
        )
    return problems


_FIX = "correct the artifact's config"


def oss_faults(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the config of an `oss` source."""
    wrong = [
        f"'{member}' must be a text, and not empty"
        for member in OSS
        if not isinstance(config.get(member), str) or not config[member].strip()
    ]
    wrong += [f"'{member}' is unknown" for member in sorted(map(str, set(config) - set(OSS)))]
    return wrong
