"""Known: what the place that is going to run the document can serve."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..document import WorkflowTemplate
from ..record import Schema

ROOTS = frozenset({"workflow", "inputs", "tasks", "loop_iter", "iterator"})
ARTIFACT_TYPES = frozenset({"oss", "local", "http"})


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """None means "nobody knows yet": nothing is said about it. `templates` is keyed by name and
    version as a document writes them; "" stands for the latest."""

    executors: Mapping[str, Schema] | None = None
    namespaces: frozenset[str] | None = None
    templates: Mapping[tuple[str, str], WorkflowTemplate] | None = None
    artifact_types: frozenset[str] | None = None
    has_secrets: bool = True
    has_cron: bool = True
    has_timeouts: bool = True
