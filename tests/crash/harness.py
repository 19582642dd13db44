"""Kills a workload again and again, lets it finish, and looks at what is left.

In: a place, kills, a seed. Out: a Verdict: findings in words, none when all is well, and how to repeat it.
Never: a process left behind.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from aether.ports import RunQuery, Store
from aether.record import ACTION_LOG, RunRows
from crash.checks import (
    differences,
    faults_at_death,
    faults_of_acks,
    faults_of_effects,
    faults_of_log,
    faults_of_pauses,
    faults_of_repeated_effects,
    faults_of_rows,
    pauses_of,
    signature,
    unanswered,
)
from crash.fault_points import POINTS, VARIABLE
from crash.kinds import KINDS
from crash.places import Place
from crash.reference import Reference, without_kills
from crash.workload import TIER

TESTS = Path(__file__).parents[1]
PATIENCE = 90
"""Seconds for a life to reach its fault point, and for the last one to end every run."""

_LATEST = 0.8
"""Seconds after which a kill at random strikes at the latest, from the moment the store is opened."""

# Fault points by how often they are asked for: commits are what a crash is about.
_WEIGHTS = {"commit": 6, "dispatch": 3, "complete": 3, "start": 2}


class Killed(msgspec.Struct):
    """One life: how it was to end, and what it had acknowledged by then."""

    how: str
    lines: list[str]
    returncode: int
    seconds: float = 0.0


class Verdict(msgspec.Struct):
    seed: int
    kills: int = 0
    kills_by: Counter[str] = msgspec.field(default_factory=Counter)
    runs: int = 0
    executions: int = 0
    deliveries_repeated: int = 0
    seconds: float = 0.0
    findings: list[str] = []

    def in_words(self) -> str:
        head = (
            f"{self.kills} kills (seed {self.seed}), {self.runs} runs, {self.executions} executions,"
            f" {self.deliveries_repeated} deliveries repeated, {self.seconds:.0f} s"
        )
        return "\n".join([head, f"  {dict(self.kills_by)}", *self.findings[:40]])


class Matrix:
    """`kills` lives are killed, half of them at fault points; then one finishes."""

    def __init__(
        self, place: Place, folder: Path, kills: int, seed: int, tier: str = ACTION_LOG
    ) -> None:
        self._tier = tier
        self._place = place
        self._folder = folder.resolve()
        self._kills = kills
        self._chance = random.Random(seed)
        self._effects = self._folder / "effects"
        self._lives: list[Killed] = []
        self.verdict = Verdict(seed)

    def run(self) -> Verdict:
        began = time.monotonic()
        for life, how in enumerate(self._ways()):
            self._lives.append(self._live(life, how))
            if not self._is_logged:  # later only the log could tell, and there is none
                asyncio.run(self._look_at_death(life))
        last = self._start(len(self._lives), "", "--finish")
        try:
            said, _ = last.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            last.kill()
            said, _ = last.communicate()
            self._find(f"the last life did not end within {PATIENCE} s")
        self._lives.append(Killed("", said.splitlines(), last.returncode))
        if last.returncode or "finished" not in said:
            self._find(f"the last life ended with {last.returncode}")
        self._look_at_lives()
        self.verdict.findings += self._place.left_behind()
        asyncio.run(self._look())
        self.verdict.findings += self._place.faults()
        self.verdict.seconds = time.monotonic() - began
        return self.verdict

    @property
    def _is_logged(self) -> bool:
        return self._tier == ACTION_LOG and self._place.keeps_log

    # Lives

    def _ways(self) -> Iterator[str]:
        """Every second kill at a fault point, the others at random. The commits of a life are walked
        through one by one, before and after, so that the first ones are those of recovery."""
        boundary = 0
        for number in range(self._kills):
            if number % 2:
                yield "at random"
                continue
            call = self._chance.choices(*_points())[0]
            if call == "commit":
                boundary += 1
                when = ("before", "after", "during")[boundary % 3]
                late = f":{self._chance.randrange(1500)}" if when == "during" else ""
                yield f"{when}-commit:{1 + boundary // 3 + self._chance.randrange(3)}{late}"
            else:
                when = self._chance.choice(("before", "after"))
                yield f"{when}-{call}:{self._chance.randrange(1, 60)}"

    def _live(self, life: int, how: str) -> Killed:
        point = "" if how == "at random" else how
        began = time.monotonic()
        process = self._start(life, point)
        assert process.stdout is not None
        first = process.stdout.readline()
        patience = PATIENCE if point else self._chance.uniform(0, _LATEST)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            if point:
                self._find(f"life {life} never got to {point}")
        process.kill()
        said, _ = process.communicate()
        lines = [line for line in (first + said).splitlines(keepends=True) if line.endswith("\n")]
        if process.returncode != -9:
            self._find(f"life {life} ended by itself with {process.returncode} ({how})")
        self.verdict.kills += process.returncode == -9
        self.verdict.kills_by[how.split(":", maxsplit=1)[0]] += 1
        seconds = time.monotonic() - began
        return Killed(how, [line.rstrip("\n") for line in lines], process.returncode, seconds)

    def _start(self, life: int, point: str, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "crash.workload", self._place.url, str(self._effects)]
        with (self._folder / f"life-{life}.err").open("w") as errors:
            return subprocess.Popen(
                [*command, str(life), *more],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                pipesize=1 << 20,
                cwd=self._folder,
                env=os.environ | {VARIABLE: point, TIER: self._tier, "PYTHONPATH": _path()},
            )

    # Afterwards

    def _find(self, what: str) -> None:
        self.verdict.findings.append(what)

    def _said(self, word: str) -> Iterator[list[str]]:
        for life in self._lives:
            for line in life.lines:
                first, *rest = line.split(" ")
                if first == word:
                    yield rest

    def _look_at_lives(self) -> None:
        for life in range(len(self._lives)):
            errors = (self._folder / f"life-{life}.err").read_text()
            if "Traceback" in errors or "failed in this run" in errors:
                self._find(f"life {life} ({self._lives[life].how}) reported:\n{errors[-3000:]}")

    async def _look(self) -> None:
        reference = await without_kills()
        store = self._place.reader()
        await store.open()
        try:
            runs: dict[str, RunRows] = {}
            pauses: dict[str, list[str]] = {}
            after = ""
            while True:
                page = await store.runs(RunQuery(limit=500, after=after))
                for row in page.runs:
                    (rows,) = await store.load([row.run_id])
                    assert rows is not None
                    runs[row.run_id] = rows
                    self._look_at_run(rows, reference)
                    pauses[row.run_id] = await self._look_at_log(store, rows)
                if not (after := page.cursor):
                    break
            await self._look_at_crons(await store.crons(), runs)
        finally:
            await store.close()
        self._look_at_promises(runs, pauses)

    async def _look_at_log(self, store: Store, rows: RunRows) -> list[str]:
        run_id = rows.run.run_id
        log = await store.history(run_id, 0, 100_000)
        if self._is_logged:
            for what in faults_of_log(rows, log):
                self._find(f"{run_id}: {what}")
        elif log or rows.run.tier != self._tier:
            self._find(f"{run_id} has tier {rows.run.tier}, and {len(log)} entries in its log")
        return pauses_of(log)

    async def _look_at_death(self, life: int) -> None:
        """What was acknowledged to a life is on disk now that it is dead."""
        lines = self._lives[life].lines
        told = [
            line.split(" ") for line in lines if line.startswith(("accepted ", "ended ", "acked "))
        ]
        names = {words[1] if words[0] != "acked" else words[2] for words in told}
        names |= {name.rpartition(".")[0] for name in names if "." in name}
        if not names:
            return
        store = self._place.reader()
        await store.open()
        try:
            loaded = await store.load(sorted(names))
        finally:
            await store.close()
        runs = {rows.run.run_id: rows for rows in loaded if rows is not None}
        earlier = unanswered(life.lines for life in self._lives[:life])
        for what in faults_at_death(lines, runs, {run_id for _, run_id, _ in earlier}):
            self._find(f"when life {life} ({self._lives[life].how}) was dead: {what}")

    def _look_at_run(self, rows: RunRows, reference: Reference) -> None:
        run = rows.run
        self.verdict.runs += 1
        self.verdict.deliveries_repeated += sum(
            max(0, task.delivery - task.attempt - (task.executor == "ask"))
            for task in rows.tasks.values()
        )
        n = run.arguments and msgspec.json.decode(run.arguments)[0][2]
        wanted = reference["chain" if run.cron_id else run.name, int(n or 0)]
        for what in (*differences(signature(rows), wanted), *faults_of_rows(rows)):
            self._find(f"{run.run_id}: {what}")

    async def _look_at_crons(self, crons: object, runs: dict[str, RunRows]) -> None:
        kept = {cron.cron_id: cron for cron in crons}  # type: ignore[attr-defined]
        for (cron_id,) in self._said("accepted-cron"):
            if cron_id not in kept:
                self._find(f"cron {cron_id} was accepted and is gone")
        fired: dict[tuple[str, str], set[str]] = {}
        for cron_id, at, run_id in self._said("fired"):
            fired.setdefault((cron_id, at), set()).add(run_id)
        for (cron_id, at), answers in fired.items():
            made = [r for r, rows in runs.items() if r == f"{cron_id}-{at}"]
            if len(answers) != 1 or list(answers) != made:
                self._find(f"cron {cron_id} fired for {at} as {answers}, and made {made}")
        minute = 60_000_000
        for cron_id, cron in kept.items():
            if cron.pending:
                self._find(f"cron {cron_id} has claims left over: {cron.pending}")
            if cron.name == "by-clock" and cron.last_fire_at is not None:
                times = {rows.run.fire_at for rows in runs.values() if rows.run.cron_id == cron_id}
                first = cron.created_at - cron.created_at % minute + minute
                wanted = set(range(first, cron.last_fire_at + 1, minute))
                if times != wanted:
                    self._find(f"cron {cron_id} fired for {times}, not for {wanted}")

    def _look_at_promises(self, runs: dict[str, RunRows], pauses: dict[str, list[str]]) -> None:
        for run_id, n in self._said("accepted"):
            rows = runs.get(run_id)
            if rows is None:
                self._find(f"{run_id} was accepted and is gone")
            elif rows.run.name not in KINDS or n not in "012":
                self._find(f"{run_id} is no run of ours")
        acks = [*self._said("acked"), *(["ended", *words] for words in self._said("ended"))]
        for what in faults_of_acks(acks, runs):
            self._find(what)
        if self._is_logged:
            open_questions = unanswered(life.lines for life in self._lives)
            self.verdict.findings += faults_of_pauses(acks, pauses, open_questions)
        effects = self._effects.read_text().splitlines()
        self.verdict.executions = len(effects)
        judged = faults_of_effects if self._tier == ACTION_LOG else faults_of_repeated_effects
        for what in judged(effects, runs):
            self._find(what)


def _path() -> str:
    """Where the processes find what this one has found."""
    return os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])


def _points() -> tuple[list[str], list[int]]:
    calls = sorted({point.partition("-")[2] for point in POINTS})
    calls = [call for call in calls if not call.startswith(("put_", "cancel", "load"))]
    return calls, [_WEIGHTS[call] for call in calls]
