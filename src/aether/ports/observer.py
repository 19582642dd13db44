"""Observer: hears of every change, for live views and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..record import Change, RunRow


class Observer(Protocol):
    """`changed` is called by the engine that decides for a run, once for each decision, when it is as safe as
    the run's tier promises, and for one run in the order of its decisions. `run` is the run as it stands then and
    `changes` are those of the decision: both belong to the engine, so whoever needs them later copies what it
    needs. The call stands on the engine's hot path: it returns at once, waits for nothing, and does not raise.
    """

    def changed(self, run: RunRow, changes: Sequence[Change]) -> None: ...
