"""IdGenerator: names for new runs and crons."""

from __future__ import annotations

from typing import Literal, Protocol

IdKind = Literal["Workflow", "CronWorkflow"]


class IdGenerator(Protocol):
    """`generate` returns an id that no earlier call on any generator over the same store returned,
    whatever the kind and the name.

    Ids are 1 to 128 characters out of letters, digits, `-`, `_`, `:` and never contain a dot: a task
    run's id is its run's id, a dot and its ordinal, so it need not be generated. The name is a hint for
    generators that make readable ids; any name is safe to hand in. A generator must not block, awaits
    nothing and may be called from the loop's thread only.
    """

    def generate(self, kind: IdKind, name: str) -> str: ...
