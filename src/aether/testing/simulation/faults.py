"""What can go wrong, by name; how often it does is drawn anew for every seed.

A seed leans to some faults and leaves others out: many small storms find more than one even drizzle.
"""

from __future__ import annotations

from collections import Counter

from ..chance import Chance

POINTS = {
    "store.unavailable": "a commit fails before anything is written",
    "store.unknown-done": "a commit is written, and its answer is lost",
    "store.unknown-lost": "a commit is lost, and so is its answer",
    "store.unknown-part": "of a batch some commits are written, and the answer is lost",
    "store.conflict": "a commit comes too late: its run has another token by then",
    "store.slow": "a call takes seconds",
    "store.read-fails": "a call that reads fails",
    "store.definition-unavailable": "a cron cannot be written",
    "store.definition-unknown": "a cron is written, and the answer is lost",
    "store.zombie": "a commit of a crashed engine arrives after its successor has begun",
    "store.cluster-unknown": "a claim, a letter or a renewal is taken, and the answer is lost",
    "line.cut": "a node cannot reach the store for a while",
    "session.over": "an engine hears that its session was ended by another one",
    "hint.lost": "a word between engines is lost",
    "hint.twice": "a word between engines comes twice",
    "hint.late": "a word between engines comes late",
    "broker.dispatch-fails": "a broker takes nothing and raises",
    "broker.dispatch-half": "a broker takes the tasks and raises all the same",
    "broker.dispatch-lost": "a task is lost on its way, and repeated when its lease has run out",
    "broker.dispatch-twice": "a task is delivered to two workers",
    "broker.dispatch-late": "a task is delivered late, behind others",
    "broker.start-lost": "the word that a task begins is lost",
    "broker.start-twice": "that word comes twice",
    "broker.start-late": "that word comes late, perhaps after the result",
    "broker.result-lost": "a result is lost; the task runs again",
    "broker.result-fails": "a result cannot be handed in, and its worker hears so",
    "broker.result-twice": "a result comes twice",
    "broker.result-late": "a result comes late",
    "broker.cancel-fails": "a broker raises when it is to call something off",
    "broker.cancel-lost": "a cancellation is lost",
    "broker.cancel-late": "a cancellation comes late",
    "broker.fetch-fails": "a worker cannot fetch",
    "executor.hangs": "an executor does not return until it is cancelled",
    "executor.stubborn": "an executor swallows its cancellation and goes on",
    "executor.raises": "an executor raises",
    "executor.blocks": "an executor answers without ever giving way to the loop",
    "step.fails": "a step raises, and is tried again",
    "step.slow": "a step takes seconds",
    "notifier.raises": "a notifier raises",
    "notifier.hangs": "a notifier does not return",
    "sink.raises": "the error sink raises",
    "engine.crash": "the engine's process ends, at any await",
    "engine.crash-in-recovery": "it ends again soon after its start",
    "engine.crash-in-commit": "it ends while a call of the store is on its way",
    "engine.stop": "the engine is stopped in good order, and another one started",
    "engine.freeze": "the engine's process gets no time for a while",
    "worker.crash": "a worker's process ends",
    "worker.freeze": "a worker's process gets no time for a while",
    "clock.forward": "a node's clock is set forward",
    "clock.back": "a node's clock is set back",
    "cache.full": "the engine forgets the state of runs it has no room for",
}

_MOODS = (0.0, 0.0, 0.01, 0.05, 0.15)


class Faults:
    """`strike` answers whether a fault happens here and now, and counts it."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance.child("faults")
        weight = self._chance.one_of((0.25, 0.5, 1.0, 2.0, 3.0))
        self.rates = {point: weight * self._chance.one_of(_MOODS) for point in POINTS}
        self.hits: Counter[str] = Counter()
        self.active = True

    def strike(self, point: str) -> bool:
        rate = self.rates[point]
        if not self.active or not rate or self._chance.random() >= rate:
            return False
        self.hits[point] += 1
        return True

    def note(self, point: str) -> None:
        """A fault that is not drawn here happened."""
        assert point in POINTS, point
        self.hits[point] += 1
