"""Many trials of one workflow: a crash at every step, then whatever chance adds; and the smallest that fails.

In: a way to run one trial. Out: what was found, with the seed and the smallest schedule that shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import msgspec

from ..chance import Chance
from .loop import cemetery
from .trial import STRIKES, Strike, Trial

Run = Callable[[Sequence[Strike]], Trial]
_AT_EACH_COMMIT = ("crash-before-commit", "crash-after-commit", "store-away")
_BURIED = 25
"""Trials after which what they left behind is collected."""
_AT_EACH_EXECUTION = ("repeat", "slow")


class Finding(msgspec.Struct):
    """The first seed at which this fault showed, and the smallest schedule found that shows it."""

    seed: int
    fault: str
    what: str
    schedule: list[Strike]


class Search(msgspec.Struct):
    """What came of all trials. `repeated` says how many seeds executed an activity more than once for a call."""

    seeds: int = 0
    expected: str = ""
    crashes: int = 0
    findings: list[Finding] = msgspec.field(default_factory=list)
    repeated: Counter[str] = msgspec.field(default_factory=Counter)


def schedule_of(seed: int, undisturbed: Trial) -> list[Strike]:
    """Seed 0 disturbs nothing; then each single strike in turn; from then on chance adds up several."""
    if seed == 0:
        return []
    single = [
        Strike(point, number)
        for number in range(1, undisturbed.commits + 1)
        for point in _AT_EACH_COMMIT
    ]
    single += [
        Strike(point, number)
        for number in range(1, undisturbed.executions + 1)
        for point in _AT_EACH_EXECUTION
    ]
    if seed <= len(single):
        return [single[seed - 1]]
    chance = Chance(f"trial {seed}")
    most = dict.fromkeys(_AT_EACH_COMMIT, undisturbed.commits + 3)
    most |= dict.fromkeys(_AT_EACH_EXECUTION, undisturbed.executions)
    points = [point for point in STRIKES if most.get(point, 5)]
    drawn = {
        Strike(point := chance.one_of(points), 1 + chance.randrange(most.get(point, 5)))
        for _ in range(2 + chance.randrange(5))
    }
    return sorted(drawn)


def search(
    run: Run, seeds: Sequence[int], told: Callable[[Finding], None] = lambda finding: None
) -> Search:
    """Run every seed; each kind of fault is made small and told once."""
    with ExitStack() as graves:
        return _search(run, seeds, told, graves)


def _search(
    run: Run, seeds: Sequence[int], told: Callable[[Finding], None], graves: ExitStack
) -> Search:
    graves.enter_context(cemetery())
    undisturbed = run([])
    found = Search(expected=_end_of(undisturbed))
    known: set[tuple[str, str]] = set()
    for seed in seeds:
        if not (found.seeds + 1) % _BURIED:
            graves.close()
            graves.enter_context(cemetery())
        schedule = schedule_of(seed, undisturbed)
        trial = run(schedule) if schedule else undisturbed
        found.seeds += 1
        found.crashes += max(0, trial.lives - 1)
        found.repeated.update(trial.repeated.keys())
        fault, what = fault_of(trial, undisturbed)
        if fault and (fault, _kind(what)) not in known:
            known.add((fault, _kind(what)))
            small = smallest(run, schedule, fault, undisturbed)
            _, what = fault_of(run(small), undisturbed)
            finding = Finding(seed, fault, what, small)
            found.findings.append(finding)
            told(finding)
            if not schedule:
                break  # it needs no help to go wrong
    return found


def fault_of(trial: Trial, undisturbed: Trial) -> tuple[str, str]:
    if trial.fault:
        return trial.fault, trial.what
    if _end_of(trial) != _end_of(undisturbed):
        what = f"it ended {_end_of(trial)}; undisturbed it ends {_end_of(undisturbed)}"
        return "other-end", what
    return "", ""


def smallest(run: Run, schedule: Sequence[Strike], fault: str, undisturbed: Trial) -> list[Strike]:
    """Leave out one strike after another for as long as the same fault shows."""
    kept = list(schedule)
    for strike in schedule:
        fewer = [each for each in kept if each != strike]
        if fault_of(run(fewer), undisturbed)[0] == fault:
            kept = fewer
    return kept


def _end_of(trial: Trial) -> str:
    return f"{trial.phase} with {trial.outcome}" if trial.phase else trial.fault


def _kind(what: str) -> str:
    """The same finding, whatever numbers it names."""
    return "".join(" " if each.isdigit() else each for each in what)[:60]
