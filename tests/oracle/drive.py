"""One run, told to the real plan and to the naive one, fact by fact; compared after every fact.

The script of facts comes from a seed and from what the naive run shows, so it is the same whatever
the plan does. Rows are folded here from the decisions' changes, as a store would do it.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from msgspec import convert

from aether.document import Workflow
from aether.errors import InvalidState
from aether.expr import CelEvaluator
from aether.plan import (
    CancelTask,
    DispatchTask,
    RunCancelled,
    RunPaused,
    RunSubmitted,
    RunTakenOver,
    RunUnpaused,
    State,
    TaskCompleted,
    TaskResumed,
    TaskStarted,
    TimePassed,
    WorkerLost,
    compile_plan,
    decide,
    decide_all,
)
from aether.record import (
    RunRow,
    RunRows,
    apply,
    decode_changes,
    encode_changes,
    encode_json,
    encode_values,
    named_values,
)
from aether.testing.document_values import OUTPUT_NAMES, VARIABLES, random_value
from oracle.binding import Task
from oracle.comparison import Comparison, Disagreement, Undecided
from oracle.naive import ACTIVE, OPEN, Key, NaiveRun, is_open

START = 1_700_000_000_000_000
NAMESPACES = ("deploy",)
STEPS = 160
CODES = ((1, 4), (2, 6), (3, 3), (4, 2), (7, 2))


class Drive(Comparison):
    def __init__(self, document: dict[str, Any], seed: int) -> None:
        self.rng = random.Random(f"script {seed}")
        self.document, self.at = document, START
        self.seen: set[str] = set()
        self.log: list[str] = []
        self.trouble = self.rng.choice((0.0, 0.15, 0.35, 0.6))
        self.pace = self.rng.choice((300_000, 300_000, 4_000_000))
        self.silence = self.rng.choice((0.0, 0.0, 0.05, 0.3))
        self.losses, self.epoch = 0, 1
        self.gathers = self.rng.random() < 0.3
        self.gathered: list[tuple[Any, Callable[[], None]]] | None = None
        self.reloads = self.rng.choice((0.0, 0.05, 0.5))
        self.answered: set[Key] = set()
        self.silent: dict[tuple[Key, int], bool] = {}
        self.cancels = self.rng.random() < 0.2
        self.pauses = self.rng.random() < 0.25
        self.told: list[tuple[Key, dict[str, Any]]] = []
        self.state = State(compile_plan(convert(document, Workflow), CelEvaluator(), NAMESPACES))
        self.rows: RunRows | None = None
        self.active: set[Key] = set()
        self.ranks: dict[Key, int] = {}

    # telling both

    def submit(self) -> None:
        arguments = {
            parameter["name"]: random_value(self.rng)
            for parameter in self.document["spec"].get("arguments", {}).get("parameters", [])
            if self.rng.random() < 0.3
        }
        if arguments:
            self.seen.add("submitted arguments")
        row = RunRow(
            run_id="run",
            name="random",
            document=b"",
            arguments=encode_values(named_values(arguments)) if arguments else None,
            variables=encode_json(VARIABLES),
            created_at=self.at,
        )
        self.log.append(f"submit {arguments}")
        self.decide(RunSubmitted(run=row, at=self.at))
        self.naive = NaiveRun(self.document, arguments, VARIABLES, self.at, self)
        self.compare()

    def tell(self, event: Any, naive: Callable[[], None]) -> None:
        """One fact for both; kept while several are being gathered for one decision."""
        if self.gathered is not None:
            self.gathered.append((event, naive))
            return
        self.decide(event)
        naive()
        self.compare()

    def decide(self, *events: Any) -> None:
        decision = decide_all(self.state, events)
        self.fold(decision)
        while decision.more:
            decision = decide(self.state, TimePassed(at=self.at))
            self.fold(decision)
        rows = self.task_rows().values()
        self.ranks = {self.key(row): int(row.phase in OPEN) for row in rows}
        self.active = {self.key(row) for row in rows if row.phase in ACTIVE}

    def fold(self, decision: Any) -> None:
        """Applies the changes, and checks the orders that go with them."""
        before = self.live()
        for change in decode_changes(encode_changes(decision.changes)):
            self.rows = apply(self.rows, change)
        after = self.live()
        ordered = sorted(c.ordinal for c in decision.commands if isinstance(c, DispatchTask))
        due = sorted(n for n, held in after.items() if held[1] == "Ready" and held != before.get(n))
        if ordered != due:
            raise Disagreement(f"orders: naive dispatches {due}, plan {ordered}")
        called_off = {c.ordinal for c in decision.commands if isinstance(c, CancelTask)}
        for number, (delivery, phase) in before.items():
            task = self.task_rows()[number]
            ended = task.phase in ("Cancelled", "Timeout") and phase == "Running"
            if ended and task.delivery == delivery and self.ended_from_outside:
                if number not in called_off:
                    raise Disagreement(f"orders: naive signals cancel to {number}, plan does not")

    ended_from_outside = False

    def live(self) -> dict[int, tuple[int, str]]:
        return {
            number: (task.delivery, str(task.phase))
            for number, task in self.task_rows().items()
            if task.kind == "task" and task.phase in ("Ready", "Running")
        }

    # who goes first when not all can is the plan's choice

    def rank(self, key: Key) -> int:
        return self.ranks.get(key, 2)

    def is_active(self, key: Key) -> bool:
        return key in self.active

    def retry_at(self, key: Key, earliest: int, latest: int) -> int:
        at = self.task_rows()[self.ordinal(key)].retry_at
        return at if at is not None and earliest <= at <= latest else earliest

    def ordinal(self, key: Key) -> int:
        return next(n for n, row in self.task_rows().items() if self.key(row) == key)

    # the script

    def run(self) -> set[str]:
        """Returns the features that were used."""
        try:
            self.submit()
            self.play()
        except Undecided:
            self.seen.add("undecided")
        return self.seen

    def play(self) -> None:
        for _ in range(STEPS):
            if self.naive.phase not in OPEN:
                break
            self.step()
        for _ in range(300):
            if self.naive.phase not in OPEN:
                break
            self.unpause() if self.naive.paused_at is not None else self.wait()
        if self.naive.phase in OPEN:
            raise Disagreement("the run does not end although all its deadlines passed")
        for _ in range(2):
            self.late()
        self.seen.add(f"run {self.naive.phase}")
        for task in self.naive.tasks:
            self.seen.add(f"{task['phase']} {task['kind']}")
            if task["omitted"]:
                self.seen.add("omitted nodes")
            if task["retries"]:
                self.seen.add("retried task" if task["kind"] == "task" else "retried container")
            if task["kind"] == "loop" and task["activated"] and not self.naive.children(task):
                self.seen.add(f"loop of nothing {task['phase']}")

    def load(self) -> None:
        """Another engine goes on from the rows alone."""
        self.seen.add("state loaded again")
        self.log.append(f"{self.at} loaded")
        assert self.rows is not None
        self.state = State.load(self.state.plan, copy.deepcopy(self.rows))

    def step(self) -> None:
        if self.rng.random() < self.reloads:
            self.load()
        due = self.naive.next_due()
        self.at += self.rng.randint(1, self.pace)
        if due is not None and due <= self.at:
            self.at = due
            self.time_passed()
            return
        moves = self.moves()
        if not moves:
            self.unpause() if self.naive.paused_at is not None else self.wait()
            return
        weights = [weight for weight, _ in moves]
        self.rng.choices([move for _, move in moves], weights)[0]()

    def moves(self) -> list[tuple[float, Any]]:
        moves: list[tuple[float, Any]] = []
        paused = self.naive.paused_at is not None
        for task in self.naive.tasks:
            if task["kind"] != "task":
                continue
            if task["phase"] == "Ready" and not self.is_silent(task):
                moves.append((5, lambda task=task: self.start(task)))
                moves.append((0.3, lambda task=task: self.complete(task)))
            if task["phase"] == "Running" and not self.is_silent(task):
                moves.append((5, lambda task=task: self.complete(task)))
            if task["phase"] in ("Ready", "Running") and self.losses < 2:
                moves.append((0.15, lambda task=task: self.lose(task)))
            if task["phase"] == "Suspended" and not self.is_silent(task):
                moves.append((3, lambda task=task: self.resume(task)))
        if self.gathers and sum(map(self.is_heard, self.naive.tasks)) > 1:
            moves.append((4, self.several))
        if not moves and self.rng.random() < 0.7:
            return []
        if self.told:
            moves += [(0.4, self.late), (0.4, self.twice)]
        if self.reloads:
            moves.append((0.4, self.take_over))
        if self.cancels:
            moves.append((0.8, self.cancel))
        if self.pauses:
            moves.append((3, self.unpause) if paused else (1, self.pause))
        return [*moves, (0.3, self.wait), (0.2, self.time_passed)]

    def is_silent(self, task: Task) -> bool:
        """A task of which nobody hears any more in this attempt."""
        place = (task["key"], task["attempt"])
        if place not in self.silent:
            self.silent[place] = self.rng.random() < self.silence
        if self.silent[place]:
            self.seen.add("a result that never comes")
        return self.silent[place]

    # facts

    def several(self) -> None:
        """Facts about several tasks, all in one decision."""
        self.seen.add("several facts at once")
        self.log.append(f"{self.at} at once:")
        heard = [task for task in self.naive.tasks if self.is_heard(task)]
        self.gathered = []
        for task in self.rng.sample(heard, min(len(heard), self.rng.randint(2, 5))):
            ready = task["phase"] == "Ready"
            if ready:
                self.start(task)
            if not ready or self.rng.random() < 0.5:
                self.complete(task)
        gathered, self.gathered = self.gathered, None
        self.decide(*(event for event, _ in gathered))
        for _, naive in gathered:
            naive()
        self.compare()

    def is_heard(self, task: Task) -> bool:
        known = task["kind"] == "task" and task["phase"] in ("Ready", "Running")
        return known and not self.is_silent(task)

    def start(self, task: Task) -> None:
        self.tell_started(task["key"], task["delivery"])

    def tell_started(self, key: Key, delivery: int) -> None:
        self.log.append(f"{self.at} started {key} delivery {delivery}")
        started = TaskStarted(self.ordinal(key), self.epoch, delivery, "w", self.at)
        self.tell(started, lambda: self.naive.started(key, delivery, self.at))

    def complete(self, task: Task) -> None:
        code = 0
        if self.rng.random() < self.trouble:
            code = self.rng.choices([c for c, _ in CODES], [w for _, w in CODES])[0]
        self.seen.add(f"code {code}")
        outputs: dict[str, Any] = {}
        if code in (0, 1) or self.rng.random() < 0.3:
            outputs = {n: random_value(self.rng) for n in OUTPUT_NAMES if self.rng.random() < 0.6}
        if outputs and self.rng.random() < 0.05 and task["body"].get("outputs"):
            outputs["p0"] = None
        result = {
            "delivery": task["delivery"],
            "code": code,
            "message": self.rng.choice(("", "bad", "worse")),
            "outputs": outputs,
            "error_type": self.rng.choice(("", "BadInput", "Other")) if code > 1 else "",
        }
        self.told.append((task["key"], result))
        self.tell_completed(task["key"], result)

    def tell_completed(self, key: Key, result: dict[str, Any]) -> None:
        self.log.append(f"{self.at} completed {key} {result}")
        outputs = result["outputs"]
        completed = TaskCompleted(
            self.ordinal(key),
            self.epoch,
            result["delivery"],
            self.at,
            code=result["code"],
            message=result["message"],
            outputs=encode_values(named_values(outputs)) if outputs else None,
            error_type=result["error_type"],
            worker="w",
        )
        self.tell(completed, lambda: self.naive.completed(key, at=self.at, **result))

    def twice(self) -> None:
        key, result = self.told[-1]
        self.seen.add("a result that comes twice")
        self.tell_completed(key, result)

    def late(self) -> None:
        """A result, or a start, behind its fence: of an old delivery or of a task that is over."""
        over = [t for t in self.naive.tasks if t["kind"] == "task" and t["delivery"]]
        if not over:
            return
        task = self.rng.choice(over)
        delivery = task["delivery"] - (1 if is_open(task) else 0)
        self.seen.add("a result that comes late")
        if self.rng.random() < 0.3:
            self.tell_started(task["key"], delivery)
        outputs = {"p0": "late"}
        if is_open(task) and self.rng.random() < 0.3:
            self.other_epoch(task)
        result = {"delivery": delivery, "code": self.rng.choice((0, 1, 2, 3)), "outputs": outputs}
        self.tell_completed(task["key"], result | {"message": "late", "error_type": ""})

    def other_epoch(self, task: Task) -> None:
        """The right delivery, told by an engine that lost the run or never had it."""
        epoch = self.epoch + self.rng.choice((-1, 1))
        self.log.append(f"{self.at} completed {task['key']} in epoch {epoch}")
        ordinal, delivery = self.ordinal(task["key"]), task["delivery"]
        self.decide(TaskStarted(ordinal, epoch, delivery, "w", self.at))
        self.decide(TaskCompleted(ordinal, epoch, delivery, self.at))
        self.compare()

    def resume(self, task: Task) -> None:
        payload = {"answer": random_value(self.rng)} if self.rng.random() < 0.7 else {}
        names = [*task["inputs"]]
        if names and self.rng.random() < 0.3:
            payload[self.rng.choice(names)] = "answered"
        self.log.append(f"{self.at} resumed {task['key']} {payload}")
        self.seen.add("resumed")
        self.answered.add(task["key"])
        encoded = encode_values(named_values(payload))
        resumed = TaskResumed(self.ordinal(task["key"]), encoded, self.at)
        self.decide(resumed)
        self.naive.resumed(task["key"], payload, self.at)
        self.compare()
        if self.rng.random() < 0.2:
            self.resume_again(resumed)

    def resume_again(self, resumed: TaskResumed) -> None:
        try:
            self.decide(resumed)
        except InvalidState as exc:
            if exc.code != "not-suspended":
                raise
        else:
            raise Disagreement("run: naive refuses a second resume, plan does not")
        self.compare()

    def lose(self, task: Task) -> None:
        self.seen.add("lost worker")
        self.losses += 1
        self.log.append(f"{self.at} lost {task['key']}")
        self.decide(WorkerLost(self.ordinal(task["key"]), self.epoch, task["delivery"], self.at))
        self.naive.lost(task["key"], task["delivery"], self.at)
        self.compare()

    def take_over(self) -> None:
        """Another engine loads the run, and says so."""
        self.seen.add("taken over")
        self.load()
        self.epoch += 1
        self.log.append(f"{self.at} taken over, epoch {self.epoch}")
        self.decide(RunTakenOver(at=self.at))
        self.naive.taken_over(self.at)
        self.compare()

    def cancel(self) -> None:
        self.log.append(f"{self.at} cancelled")
        self.ended_from_outside = True
        self.decide(RunCancelled(at=self.at))
        self.naive.cancelled(self.at)
        self.compare()

    def pause(self) -> None:
        self.seen.add("paused")
        self.log.append(f"{self.at} paused")
        self.decide(RunPaused(at=self.at))
        self.naive.paused(self.at)
        self.compare()

    def unpause(self) -> None:
        self.log.append(f"{self.at} unpaused")
        self.decide(RunUnpaused(at=self.at))
        self.naive.unpaused(self.at)
        self.compare()

    def wait(self) -> None:
        """Until something is due."""
        self.at = self.naive.next_due() or self.at
        self.time_passed()

    def time_passed(self) -> None:
        self.log.append(f"{self.at} time passed")
        late = [t["deadline"] for t in self.naive.tasks if is_open(t) and t["deadline"]]
        if late.count(self.at) > 1 and '"failFast": true' in json.dumps(self.document):
            raise Undecided
        self.ended_from_outside = True
        self.decide(TimePassed(at=self.at))
        self.ended_from_outside = False
        self.naive.time_passed(self.at)
        self.compare()
