"""One run, driven by hand: documents as plain data, facts by task name, rows as a store would fold them."""

from __future__ import annotations

import copy

from msgspec import convert

from aether.document import Workflow
from aether.expr import CelEvaluator
from aether.plan import (
    DispatchHook,
    DispatchTask,
    HookCompleted,
    NotifyHook,
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
    Warn,
    WorkerLost,
    compile_plan,
    decide_all,
)
from aether.record import (
    RunRow,
    TaskRow,
    apply,
    as_mapping,
    decode_changes,
    decode_values,
    encode_changes,
    encode_json,
    encode_values,
    named_values,
)

START = 1_700_000_000_000_000
SECOND = 1_000_000


def task(name="t", **members):
    return {"task": {"name": name, "executor": {"type": "work"}} | members}


def node(name, *dependencies, **members):
    found = {"name": name} | members
    if "template" not in found:
        found["executor"] = {"type": "work"}
    if dependencies:
        found["dependencies"] = list(dependencies)
    return found


def dag(*nodes, name="d", **members):
    return {"dag": {"name": name, "tasks": list(nodes)} | members}


def loop(name="l", body="t", **members):
    return {"loop": {"name": name, "body": body} | members}


def value(name, literal=None, **members):
    return {"name": name} | ({} if literal is None else {"value": literal}) | members


def values(*parameters):
    return {"parameters": list(parameters)}


class Run:
    """`templates[0]` is the entry. `at` only moves when `after` moves it."""

    def __init__(self, *templates, arguments=None, variables=None, parameters=None, **spec):
        options = {key: spec.pop(key) for key in ("notifies", "notify_all") if key in spec}
        entry = next(iter(templates[0].values()))["name"]
        document = {
            "apiVersion": "aether/v1",
            "kind": "Workflow",
            "metadata": {"name": "example"},
            "spec": {"entrypoint": entry, "templates": list(templates)} | spec,
        }
        if parameters:
            document["spec"]["arguments"] = parameters
        workflow = convert(document, Workflow)
        self.plan = compile_plan(workflow, CelEvaluator(), ("deploy",), **options)
        self.state = State(self.plan)
        self.at = START
        self.rows = None
        self.decision = None
        self.commands = []
        self.created = []  # task runs created, one number for each decision
        row = RunRow(
            run_id="r",
            name="example",
            document=b"",
            arguments=encode_values(named_values(arguments)) if arguments else None,
            variables=encode_json(variables) if variables else None,
            created_at=START,
        )
        self.tell(RunSubmitted(row, START))

    def tell(self, *events):
        self.commands = []
        self._decide(*events)
        while self.decision.more:
            self._decide(TimePassed(self.at))
        return self

    def _decide(self, *events):
        self.decision = decide_all(self.state, events)
        self.commands += self.decision.commands
        self.created.append(sum(type(c) is TaskRow for c in self.decision.changes))
        for change in decode_changes(encode_changes(self.decision.changes)):
            self.rows = apply(self.rows, change)

    def reload(self):
        self.state = State.load(self.plan, copy.deepcopy(self.rows))
        return self

    # Facts

    def ordinal(self, name):
        """The last task run of that name, or of that scope and name."""
        rows = self.rows.tasks.values()
        return [r.ordinal for r in rows if name in (r.task_name, r.scope + r.task_name)][-1]

    def row(self, name):
        return self.rows.tasks[self.ordinal(name)]

    def start(self, name, **fence):
        return self.tell(TaskStarted(*self._fence(name, **fence), "w", self.at))

    def complete(self, name, code=0, message="", error_type="", outputs=None, fence=None, **more):
        data = outputs or more
        return self.tell(
            TaskCompleted(
                *self._fence(name, **(fence or {})),
                self.at,
                code,
                message,
                encode_values(named_values(data)) if data else None,
                error_type,
                "w",
            )
        )

    def _fence(self, name, epoch=None, delivery=None):
        row = self.row(name)
        return (
            row.ordinal,
            epoch or self.rows.run.epoch,
            row.delivery if delivery is None else delivery,
        )

    def lose(self, name):
        return self.tell(WorkerLost(*self._fence(name), self.at))

    def resume(self, name, **payload):
        data = encode_values(named_values(payload))
        return self.tell(TaskResumed(self.ordinal(name), data, self.at))

    def after(self, seconds):
        self.at += int(seconds * SECOND)
        return self.tell(TimePassed(self.at))

    def cancel(self):
        return self.tell(RunCancelled(self.at, "ann"))

    def pause(self):
        return self.tell(RunPaused(self.at, "ann"))

    def unpause(self):
        return self.tell(RunUnpaused(self.at))

    def take_over(self):
        return self.tell(RunTakenOver(self.at))

    def complete_hook(self, number, code=0):
        hook = self.rows.hooks[number]
        return self.tell(HookCompleted(number, hook.delivery, self.at, code))

    # What is seen

    @property
    def phase(self):
        return str(self.rows.run.phase)

    def phases(self):
        return {r.scope + r.task_name: str(r.phase) for r in self.rows.tasks.values()}

    def phase_of(self, name):
        return str(self.row(name).phase)

    def inputs(self, name):
        return as_mapping(self.row(name).inputs)

    def raw_inputs(self, name):
        return decode_values(self.row(name).inputs)

    def outputs(self, name=None):
        return as_mapping(self.row(name).outputs if name else self.rows.run.outputs)

    def dispatched(self):
        """Names handed out by the last fact, in order."""
        ordinals = [c.ordinal for c in self.commands if isinstance(c, DispatchTask)]
        return [self.rows.tasks[n].task_name for n in ordinals]

    def warnings(self):
        return [c.what for c in self.commands if isinstance(c, Warn)]

    def told(self):
        """Hooks whose events were ordered by the last fact, in order."""
        return [self.hook(c.number) for c in self.commands if isinstance(c, NotifyHook)]

    def hook_tasks(self):
        return [self.hook(c.number) for c in self.commands if isinstance(c, DispatchHook)]

    def hook(self, number):
        row = self.rows.hooks[number]
        return f"{row.hook} {row.task_name}".strip()

    def omitted(self, name):
        return dict(self.row(name).omitted)

    def of(self, kind):
        return [c for c in self.commands if isinstance(c, kind)]
