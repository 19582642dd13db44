"""The phases of runs and task runs: the only stored state."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """`is_terminal` is a plain attribute because the hot path reads it for every task."""

    CREATED = "Created"
    READY = "Ready"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    TIMEOUT = "Timeout"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"

    is_terminal: bool

    def __init__(self, text: str) -> None:
        self.is_terminal = text not in ("Created", "Ready", "Running", "Suspended")

    # Enum hashes by name through Python code; the text's own hash is the same promise, in C.
    __hash__ = str.__hash__


STATES: dict[str, tuple[Phase, ...]] = {
    "PENDING": (Phase.CREATED, Phase.READY),
    "RUNNING": (Phase.RUNNING, Phase.SUSPENDED),
    "COMPLETED": (Phase.SUCCEEDED,),
    "FAILED": (Phase.FAILED, Phase.ERROR, Phase.TIMEOUT),
    "CANCELLED": (Phase.CANCELLED,),
}
"""The states that workflows written as code speak of, and the phases that each stands for."""
