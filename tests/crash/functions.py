"""Kills processes with functions in them, lets the last one finish, and looks at what they did.

In: a place, kills, a seed. Out: findings in words, none when all is well. Never: a process left behind.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from aether.record import ACTION_LOG
from crash.fault_points import VARIABLE
from crash.functions_workload import expected
from crash.harness import PATIENCE, _path
from crash.places import Place

_LATEST = 0.6
"""Seconds after which a kill at random strikes at the latest, once functions run."""


class FunctionsVerdict(msgspec.Struct):
    seed: int
    kills: int = 0
    runs: int = 0
    executions: int = 0
    repeated: int = 0
    seconds: float = 0.0
    findings: list[str] = []

    def in_words(self) -> str:
        head = (
            f"functions: {self.kills} kills (seed {self.seed}), {self.runs} runs, {self.executions} executions, "
            f"{self.repeated} of them repeated, {self.seconds:.0f} s"
        )
        return "\n".join([head, *self.findings[:40]])


class FunctionsMatrix:
    """Every second kill strikes at a commit, the others at random, while ever more runs are under way."""

    def __init__(
        self, place: Place, folder: Path, kills: int, seed: int, tier: str = ACTION_LOG
    ) -> None:
        self._place = place
        self._folder = folder.resolve()
        self._kills = kills
        self._tier = tier
        self._chance = random.Random(seed)
        self._effects = self._folder / "effects"
        self.verdict = FunctionsVerdict(seed)

    def run(self) -> FunctionsVerdict:
        began = time.monotonic()
        for life in range(self._kills):
            self._live(life)
        last = self._start(self._kills, "", "--finish")
        try:
            said, _ = last.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            last.kill()
            said, _ = last.communicate()
        if last.returncode or "finished" not in said:
            self._find(f"the last life ended with {last.returncode}: {self._errors(self._kills)}")
        self._look()
        self.verdict.findings += self._place.faults()
        self.verdict.seconds = time.monotonic() - began
        return self.verdict

    def _live(self, life: int) -> None:
        point = ""
        if life % 2:
            when = self._chance.choice(("before", "after"))
            point = f"{when}-commit:{self._chance.randrange(2, 40)}"
        process = self._start(life, point)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(5 if point else self._chance.uniform(0, _LATEST))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        self.verdict.kills += process.returncode == -9
        if process.returncode != -9:
            self._find(f"life {life} ended with {process.returncode}: {self._errors(life)}")

    def _start(self, life: int, point: str, *more: str) -> subprocess.Popen[str]:
        words = [self._place.url, str(self._effects), self._tier, str(life), *more]
        with (self._folder / f"functions-{life}.err").open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "crash.functions_workload", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                pipesize=1 << 20,
                cwd=self._folder,
                env=os.environ | {VARIABLE: point, "PYTHONPATH": _path()},
            )

    def _errors(self, life: int) -> str:
        return (self._folder / f"functions-{life}.err").read_text()[-3000:]

    def _find(self, what: str) -> None:
        self.verdict.findings.append(what)

    def _look(self) -> None:
        asked: set[str] = set()
        ended: dict[str, set[str]] = {}
        for line in Path(f"{self._effects}.diary").read_text().splitlines():
            word, run, *result = line.split(" ", 2)
            if word == "asked":
                asked.add(run)
            else:
                ended.setdefault(run, set()).update(result)
        self.verdict.runs = len(asked)
        for run in sorted(asked):
            wanted = {msgspec.json.encode(expected(run)).decode()}
            if ended.get(run) != wanted:
                self._find(f"{run} came to {ended.get(run)}, not to {wanted}")
        lines = self._effects.read_text().splitlines() if self._effects.exists() else []
        self.verdict.executions = len(lines)
        self.verdict.repeated = len(lines) - len(set(lines))
        if (
            self._tier == ACTION_LOG
        ):  # a snapshot is written later, and what came after it is done again
            self.verdict.findings += faults_of_order(lines)


def faults_of_order(lines: Iterable[str]) -> Iterator[str]:
    """A call begins only when those before it are on record, so none of those is ever executed again."""
    newest: dict[tuple[str, str], int] = {}
    stage: dict[str, str] = {}
    for line in lines:
        run, chain, number = line.split(" ")
        index = int(number)
        if index < newest.get((run, chain), 0):
            yield f"{run} executed call {index} of {chain} after call {newest[run, chain]}"
        elif chain[0] < stage.get(run, ""):
            yield f"{run} executed {chain} after {stage[run]}"
        newest[run, chain] = max(index, newest.get((run, chain), 0))
        stage[run] = max(chain[0], stage.get(run, ""))
