"""Which phase may follow which.

A leaf is Created only while it waits to be dispatched (a retry's back-off, a full `parallelism`, a
paused run); otherwise the decision that finds it eligible writes it as Ready at once. Ready means
"handed to the broker", Running "a worker said so". The worker's word is lazy, so a result may meet a
task that is still Ready: it then passes through Running within one decision. A retry leads back to
Created or Ready (from Created too, if the time of an attempt that was held back is up) and never
passes through a terminal phase. Terminal phases have no way out.

A container follows its descendants: Ready with the first leaf that is handed out, Running with the
first that starts, terminal when its scope is closed. It may end from Created when nothing ran at all.

The table is data; the diagram in the documentation is drawn from it, and `check_move` is the only
judge.
"""

from __future__ import annotations

from ..errors import EngineBug
from ..record import Phase

_C, _R, _G, _S = Phase.CREATED, Phase.READY, Phase.RUNNING, Phase.SUSPENDED
_ENDS = frozenset(
    {Phase.SUCCEEDED, Phase.FAILED, Phase.ERROR, Phase.TIMEOUT, Phase.SKIPPED, Phase.CANCELLED}
)
_ENDS_OF_WORK = _ENDS - {Phase.SKIPPED}

LEAF_MOVES: dict[Phase, frozenset[Phase]] = {
    _C: frozenset({_C, _R}) | _ENDS,
    _R: frozenset({_C, _R, _G}) | _ENDS_OF_WORK,
    _G: frozenset({_C, _R, _S}) | _ENDS_OF_WORK,
    _S: frozenset({_C, _R}) | _ENDS_OF_WORK,
}
CONTAINER_MOVES: dict[Phase, frozenset[Phase]] = {
    _C: frozenset({_R}) | _ENDS,
    _R: frozenset({_C, _G}) | _ENDS_OF_WORK,
    _G: frozenset({_C}) | _ENDS_OF_WORK,
}
RUN_MOVES: dict[Phase, frozenset[Phase]] = {
    _C: frozenset({_R}) | _ENDS_OF_WORK,
    _R: frozenset({_G}) | _ENDS_OF_WORK,
    _G: _ENDS_OF_WORK,
}
_NOTHING: frozenset[Phase] = frozenset()


def check_move(moves: dict[Phase, frozenset[Phase]], who: str, before: Phase, after: Phase) -> None:
    if after not in moves.get(before, _NOTHING):
        raise EngineBug(f"{who} cannot go from {before} to {after}")


def phase_of(code: int) -> Phase:
    """What an executor's result code means. Executors never name phases."""
    return _PHASES.get(code, Phase.ERROR)


_PHASES = {0: Phase.SUCCEEDED, 1: _S, 2: Phase.FAILED, 3: Phase.ERROR, 4: Phase.TIMEOUT}
