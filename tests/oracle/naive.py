"""A second scheduler for `aether/v1` documents, written to be obviously right instead of fast.

In: a document as plain JSON data and facts about task runs named by their key, a chain of (scope,
name) pairs. State: one list of plain dicts. After every fact it looks at everything again, from the
start, and does what the rules say until nothing is left to do; it counts nothing and remembers
nothing between two facts but the records themselves. It shares no code with the plan.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from oracle.binding import Task, Values, outputs_env, prefixed
from oracle.words import Env, Unresolved, evaluate, look_up, micros, truth

Key = tuple[tuple[str, str], ...]

OPEN = ("Created", "Ready", "Running", "Suspended")
ACTIVE = ("Ready", "Running", "Suspended")
PHASES = {0: "Succeeded", 1: "Suspended", 2: "Failed", 3: "Error", 4: "Timeout"}
FAULTS = ("Failed", "Error", "Timeout")
SECONDS = 1_000_000
ENDINGS = {
    "Succeeded": "onSuccess",
    "Failed": "onFailure",
    "Error": "onError",
    "Timeout": "onError",
    "Cancelled": "onCancel",
}


class Choice(Protocol):
    """What no rule decides, taken from the plan: who goes first when not all can."""

    def rank(self, key: Key) -> int:
        """0 of what exists and is over, 1 of what exists, 2 of what does not."""
        ...

    def is_active(self, key: Key) -> bool: ...

    def retry_at(self, key: Key, earliest: int, latest: int) -> int:
        """What chance made of it, within these bounds."""
        ...


class NaiveRun(Values):
    """One run. `choice` breaks ties that no rule decides: which waiting task gets a free slot."""

    def __init__(
        self,
        document: dict[str, Any],
        arguments: dict[str, Any],
        variables: dict[str, Any],
        at: int,
        choice: Choice,
    ) -> None:
        self.spec = document["spec"]
        self.templates: dict[str, tuple[str, dict[str, Any]]] = {}
        for template in self.spec["templates"]:
            ((kind, body),) = template.items()
            self.templates.setdefault(body["name"], (kind, body))
        self.arguments, self.variables, self.choice = arguments, variables, choice
        self.now, self.phase = at, "Created"
        self.outputs: dict[str, Any] = {}
        self.deadline = at + (micros(self.spec.get("timeout", "")) or 3600 * SECONDS)
        self.paused_at: int | None = None
        self.undecided = False
        self.tasks: list[Task] = []
        self.hooks: list[tuple[str, Key | None]] = []
        self._create(None, self.spec["entrypoint"], "", self.spec["entrypoint"], {})
        self._settle()

    # facts

    def started(self, key: Key, delivery: int, at: int) -> None:
        self.now, task = at, self.find(key)
        self._start(task, delivery)
        self._settle()

    def _start(self, task: Task, delivery: int) -> None:
        if task["phase"] == "Ready" and task["delivery"] == delivery:
            task["phase"] = "Running"
            for container in self._above(task):
                container["phase"] = "Running"
            if self.phase != "Running":
                self._fire_for_run("onStart")
            self.phase = "Running"
            if task["greeted"] != task["attempt"]:
                self._fire(task, "onStart")
            task["greeted"] = task["attempt"]

    def completed(
        self,
        key: Key,
        delivery: int,
        at: int,
        code: int,
        message: str,
        outputs: dict[str, Any],
        error_type: str,
    ) -> None:
        self.now, task = at, self.find(key)
        self._start(task, delivery)  # who has a result has begun, whether the start was told or not
        if task["phase"] == "Running" and task["delivery"] == delivery:
            self._result(task, code, message, outputs, error_type)
        self._settle()

    def resumed(self, key: Key, payload: dict[str, Any], at: int) -> None:
        self.now, task = at, self.find(key)
        if task["phase"] == "Suspended":
            self._goes_on(task)
            task["inputs"] = task["inputs"] | payload
            self._fire(task, "onResume")
        self._settle()

    def lost(self, key: Key, delivery: int, at: int) -> None:
        self.now, task = at, self.find(key)
        if task["phase"] in ("Ready", "Running") and task["delivery"] == delivery:
            self._goes_on(task)
        self._settle()

    def taken_over(self, at: int) -> None:
        """What was on its way is delivered again."""
        self.now = at
        for task in self.tasks:
            if task["kind"] == "task" and task["phase"] in ("Ready", "Running"):
                self._goes_on(task)
        self._settle()

    def _goes_on(self, task: Task) -> None:
        """The same attempt, to be delivered again as soon as a delivery may be made."""
        task["phase"], task["goes_on"] = "Created", True

    def cancelled(self, at: int) -> None:
        self.now = at
        if self.phase in OPEN:
            for task in filter(is_open, self.tasks):
                self._fire(task, "onCancel", "onExit")
            self._end_all(self.tasks, "Cancelled")
            self._end("Cancelled")

    def paused(self, at: int) -> None:
        self.now = at
        if self.phase in OPEN and self.paused_at is None:
            self.paused_at = at

    def unpaused(self, at: int) -> None:
        """Deadlines stood still meanwhile."""
        self.now = at
        if self.phase in OPEN and self.paused_at is not None:
            pause, self.paused_at = at - self.paused_at, None
            self.deadline += pause
            for task in self.tasks:
                if task["deadline"] is not None:
                    task["deadline"] += pause
        self._settle()

    def time_passed(self, at: int) -> None:
        self.now = at
        while self.phase in OPEN and self.paused_at is None:
            if self.deadline <= at:
                self._end_all(self.tasks, "Timeout")
                self._end("Timeout")
                return
            late = [t for t in self.tasks if t["deadline"] and t["deadline"] <= at and is_open(t)]
            if not late:
                break
            self._time_out(min(late, key=lambda task: task["deadline"]))
            self._settle()
        self._settle()

    # questions

    def find(self, key: Key) -> Task:
        return next(task for task in self.tasks if task["key"] == key)

    def next_due(self) -> int | None:
        """The next instant at which time alone changes something."""
        if self.phase not in OPEN or self.paused_at is not None:
            return None
        open_tasks = [task for task in self.tasks if is_open(task)]
        instants = [task["deadline"] for task in open_tasks if task["deadline"]]
        instants += [
            t["retry_at"] for t in open_tasks if t["retry_at"] and t["retry_at"] > self.now
        ]
        return int(min([self.deadline, *instants]))

    # records

    def _create(
        self,
        parent: Task | None,
        name: str,
        scope: str,
        template: str,
        call: dict[str, Any],
        item: dict[str, Any] | None = None,
    ) -> Task:
        """`call` is the DAG's node; `item` the parameters of an iteration."""
        kind, body = self.templates[template] if template else ("task", call)
        task: Task = {
            "key": (*(parent["key"] if parent else ()), (scope, name)),
            "parent": parent,
            "of_attempt": parent["attempt"] if parent else 1,
            "depth": parent["depth"] + 1 if parent else 0,
            "name": name,
            "template": template,
            "kind": kind,
            "body": body,
            "call": call,
            "item": item,
            "phase": "Created",
            "activated": False,
            "inputs": {},
            "outputs": {},
            "code": None,
            "message": None,
            "retries": 0,
            "attempt": 1,
            "delivery": 0,
            "deadline": None,
            "retry_at": None,
            "stopped": False,
            "born": self.now,
            "greeted": 0,
            "murky": False,
            "omitted": set(),
        }
        self.tasks.append(task)
        return task

    def below(self, task: Task) -> list[Task]:
        return [other for other in self.tasks if task in self._above(other)]

    def _above(self, task: Task) -> list[Task]:
        above, parent = [], task["parent"]
        while parent is not None:
            above.append(parent)
            parent = parent["parent"]
        return above

    def _end_all(self, tasks: list[Task], phase: str) -> None:
        for task in tasks:
            if is_open(task):
                task["phase"] = phase
                self._omit(task)

    def _end_scope(self, container: Task, tasks: list[Task], phase: str) -> None:
        """Ended from above. Whether hooks fire for that no rule says, so nobody compares them."""
        for task in [container, *filter(is_open, tasks)]:
            task["murky"] = True
        self._end_all(tasks, phase)

    # doing what is due

    def _settle(self) -> None:
        if self.phase not in OPEN:
            return
        while self._structure():
            pass
        self._dispatch()
        entry = self.tasks[0]
        if not is_open(entry):
            self.outputs = entry["outputs"]
            self._end("Error" if entry["phase"] == "Timeout" else entry["phase"])

    def _end(self, phase: str) -> None:
        self.phase = phase
        self._fire_for_run(ENDINGS[phase], "onExit")

    # hooks: only those that a document declares, and of a task only those of its node in a DAG

    def _fire_for_run(self, *names: str) -> None:
        self.hooks += [(name, None) for name in names if _template(self.spec, name)]

    def _fire(self, task: Task, *names: str) -> None:
        self.hooks += [(name, task["key"]) for name in names if _template(task["call"], name)]

    def _structure(self) -> bool:
        """Activates, advances or finishes the first container that can be; False without one."""
        return any(
            self._advance(task) for task in self.tasks if task["kind"] != "task" and is_open(task)
        )

    def _advance(self, task: Task) -> bool:
        if task["activated"]:
            return self._advance_dag(task) if task["kind"] == "dag" else self._advance_loop(task)
        if self._may_wake(task):
            self._activate(task)
            return True
        return False

    def _may_wake(self, task: Task) -> bool:
        if task["retry_at"] is None:
            return True
        return task["retry_at"] <= self.now and self.paused_at is None

    def _activate(self, task: Task) -> None:
        task["activated"], task["retry_at"] = True, None
        task["inputs"] = self._bind(task)

    def _dispatch(self) -> None:
        waiting = [t for t in self.tasks if t["kind"] == "task" and t["phase"] == "Created"]
        for task in sorted(waiting, key=lambda task: not self.choice.is_active(task["key"])):
            if self.paused_at is None and self._may_wake(task) and self._has_slot():
                self._claim(task)

    def _has_slot(self) -> bool:
        active = [
            t for t in self.tasks if t["kind"] == "task" and t["phase"] in ("Ready", "Running")
        ]
        limit = self.spec.get("parallelism", 0)
        return not limit or len(active) < limit

    def _claim(self, task: Task) -> None:
        goes_on, task["goes_on"] = task.get("goes_on"), False
        task["phase"], task["retry_at"] = "Ready", None
        task["delivery"] += 1
        if goes_on:
            return  # inputs, deadline and containers are those of the attempt it belongs to
        task["inputs"] = self._bind(task)
        for claimed in [task, *self._above(task)]:
            if claimed is task or claimed["phase"] == "Created":
                claimed["phase"] = "Ready"
                limit = micros(claimed["call"].get("timeout") or claimed["body"].get("timeout", ""))
                claimed["deadline"] = self.now + limit if limit else None
        if self.phase == "Created":
            self.phase = "Ready"

    # results

    def _result(
        self, task: Task, code: int, message: str, outputs: dict[str, Any], error_type: str
    ) -> None:
        phase = PHASES.get(code, "Error")
        env = {"phase": phase, "code": code, "msg": message} | outputs_env("", outputs)
        phase = _override(task["body"].get("phaseConditions"), phase, env)
        task["code"], task["message"] = code, message
        if phase == "Suspended":
            task["phase"] = phase
            task["outputs"] = task["outputs"] | outputs
            self._fire(task, "onSuspend")
            return
        name = f"tasks.{task['name']}."
        env = {f"{name}phase": phase, f"{name}code": code, f"{name}msg": message}
        if self._retry(task, phase, env | outputs_env(name, outputs), error_type):
            return
        task["phase"] = phase
        task["outputs"] = _whitelisted(task["body"].get("outputs"), outputs)
        self._fire(task, ENDINGS[phase], "onExit")

    def _policy(self, task: Task) -> dict[str, Any]:
        """The call site's policy replaces the template's whole."""
        parent = task["parent"]
        call = parent["body"] if parent and parent["kind"] == "loop" else task["call"]
        if "retry" in call:
            return dict(call["retry"])
        return dict(task["body"].get("retry", {})) if task["kind"] == "task" else {}

    def _retry(self, task: Task, phase: str, env: Env, error_type: str) -> bool:
        policy = self._policy(task)
        if phase not in FAULTS or task["retries"] >= policy.get("limit", 0):
            return False
        if error_type and error_type in policy.get("nonRetryable", []):
            return False
        if expression := policy.get("expression"):
            if not truth(expression, env):
                return False
        elif phase == "Failed":
            return False
        task["retries"] += 1
        task["attempt"] += 1
        task["phase"], task["deadline"], task["activated"] = "Created", None, False
        task["outputs"] = {}
        if backoff := policy.get("backoff"):
            wait = micros(backoff["initial"]) * backoff["factor"] ** (task["retries"] - 1)
            wait = int(min(wait, micros(backoff["max"])))
            spread = int(wait * backoff["jitter"])
            earliest, latest = self.now + wait - spread, self.now + wait + spread
            task["retry_at"] = self.choice.retry_at(task["key"], earliest, latest)
        return True

    def _time_out(self, task: Task) -> None:
        if task["kind"] == "task":
            self._result(task, 4, "", {}, "")
            return
        self._end_scope(task, self.below(task), "Timeout")
        if not self._retry(task, "Timeout", {f"tasks.{task['name']}.phase": "Timeout"}, ""):
            task["phase"] = "Timeout"
            self._omit(task)

    # DAGs

    def _advance_dag(self, task: Task) -> bool:
        body, children = task["body"], self.children(task)
        by_name = {child["name"]: child for child in children}
        reachable = self._reachable(body)
        created = False
        room = body.get("parallelism", 0) or len(body["tasks"])
        for node in self._preferred(task, body["tasks"]):
            if self._stopped(task, children):
                break
            if node["name"] in by_name or node["name"] not in reachable:
                continue
            needs = [by_name.get(name) for name in node.get("dependencies", [])]
            if all(need is not None and self._satisfied(task, need) for need in needs):
                full = sum(map(is_open, self.children(task))) >= room
                created = self._create_node(task, node, full) or created
        if created:
            return True
        if any(map(is_open, children)):
            return self._fail_fast(task, children)
        self._finish_dag(task, children)
        return True

    def _preferred(self, task: Task, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Which node gets a free slot of its DAG is not ruled."""
        return sorted(nodes, key=lambda node: self.choice.rank(self._key(task, node)))

    def _key(self, task: Task, node: dict[str, Any]) -> Key:
        return (*task["key"], (f"{_scope_name(task)}/", node["name"]))

    def _create_node(self, task: Task, node: dict[str, Any], full: bool) -> bool:
        """Skipped nodes need no slot: in a full DAG the plan may have them already, or not yet."""
        skipped = bool(node.get("when")) and not truth(node["when"], self._scope_env(task))
        if full and not (skipped and self.choice.rank(self._key(task, node)) < 2):
            return False
        scope = f"{_scope_name(task)}/"
        child = self._create(task, node["name"], scope, node.get("template", ""), node)
        if skipped:
            child["phase"] = "Skipped"
        return True

    def _reachable(self, body: dict[str, Any]) -> set[str]:
        names = {node["name"] for node in body["tasks"]}
        wanted = body.get("entrypoints")
        if wanted is None:
            return names
        reached = {wanted} if isinstance(wanted, str) else set(wanted)
        for _ in names:
            reached |= {
                node["name"]
                for node in body["tasks"]
                if reached & set(node.get("dependencies", []))
            }
        return reached

    def _continue_on(self, task: Task, child: Task) -> dict[str, bool]:
        """What `task` tolerates of `child`: a node's own object, even an empty one, stands alone."""
        if task["kind"] == "loop":
            return dict(task["body"].get("continueOn", {}))
        return dict(child["call"].get("continueOn", task["body"].get("continueOn", {})))

    def _tolerated(self, task: Task, child: Task) -> bool:
        return self._continue_on(task, child).get(child["phase"].lower(), False)

    def _satisfied(self, task: Task, child: Task) -> bool:
        return child["phase"] in ("Succeeded", "Skipped") or (
            child["phase"] in FAULTS and self._tolerated(task, child)
        )

    def _stopped(self, task: Task, children: list[Task]) -> bool:
        return task["body"].get("failFast", False) and any(
            child["phase"] in FAULTS and not self._tolerated(task, child) for child in children
        )

    def _fail_fast(self, task: Task, children: list[Task]) -> bool:
        if not self._stopped(task, children):
            return False
        for child in filter(is_open, children):
            self._end_scope(child, [child, *self.below(child)], "Cancelled")
            child["stopped"] = True
            # Whether it began in the same decision as the failure is a matter of order.
            self.undecided |= child["born"] == self.now
        return True

    def _verdict(self, task: Task, children: list[Task]) -> str:
        judged = [child for child in children if not child["stopped"]]
        bad = [child["phase"] for child in judged if not self._satisfied(task, child)]
        for phase, causes in (
            ("Cancelled", ("Cancelled",)),
            ("Error", ("Error", "Timeout")),
            ("Failed", ("Failed",)),
        ):
            if any(cause in bad for cause in causes):
                return phase
        return "Succeeded"

    def _finish_dag(self, task: Task, children: list[Task]) -> None:
        env = self._base_env() | self._tasks_env(children)
        outputs = {}
        for declared in task["body"].get("outputs", {}).get("parameters", []):
            if "valueFrom" in declared:
                try:
                    outputs[declared["name"]] = look_up(declared["valueFrom"], env)
                except Unresolved:
                    continue
            elif declared.get("value") is not None:
                outputs[declared["name"]] = declared["value"]
        self._finish(task, self._verdict(task, children), outputs)
        self._omit(task)

    def _omit(self, task: Task) -> None:
        if task["kind"] == "dag" and task["activated"]:
            present = {child["name"] for child in self.children(task)}
            task["omitted"] = {node["name"] for node in task["body"]["tasks"]} - present

    def _finish(self, task: Task, phase: str, outputs: dict[str, Any]) -> None:
        if phase != "Cancelled":
            env = {"phase": phase} | self._tasks_env(self.children(task))
            phase = _override(
                task["body"].get("phaseConditions"), phase, env | outputs_env("", outputs)
            )
        task["phase"], task["outputs"] = phase, outputs

    # loops

    def _advance_loop(self, task: Task) -> bool:
        children = self.children(task)
        if task["body"].get("repeatCondition"):
            return self._advance_repeat(task, children)
        try:
            items = self._items(task)
        except Unresolved:
            task["phase"] = "Error"
            return True
        room = task["body"].get("concurrency", 0) or len(items)
        spawned = False
        while len(children) < len(items) and sum(map(is_open, children)) < room:
            if self._stopped(task, children):
                break
            self._spawn(task, len(children), items[len(children)])
            children, spawned = self.children(task), True
        if spawned:
            return True
        if any(map(is_open, children)):
            return self._fail_fast(task, children)
        self._finish_loop(task, children)
        return True

    def _advance_repeat(self, task: Task, children: list[Task]) -> bool:
        if any(map(is_open, children)):
            return False
        if not children or self._again(task, children):
            self._spawn(task, len(children), None)
        else:
            self._finish_loop(task, children)
        return True

    def _again(self, task: Task, children: list[Task]) -> bool:
        if len(children) >= task["body"]["maxIterations"] or self._stopped(task, children):
            return False
        env = {"loop_iter.index": len(children) - 1} | self._tasks_env(children[-1:])
        return truth(task["body"]["repeatCondition"], env)

    def _items(self, task: Task) -> list[Any]:
        items = task["body"].get("items")
        if not items:
            items = self._dynamic_items(task)
        return list(items)[: task["body"].get("maxIterations", 0) or None]

    def _dynamic_items(self, task: Task) -> list[Any]:
        env = self._outer_env(task) | prefixed("inputs.parameters.", task["inputs"])
        value = evaluate(task["body"]["itemsFrom"], env)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as exc:
                raise Unresolved(str(value)) from exc
            if value is None:
                raise Unresolved("text that is no list")
        if value is None:
            return []
        if not isinstance(value, list):
            raise Unresolved("no list")
        return value

    def _spawn(self, task: Task, index: int, item: Any) -> None:
        repeats = bool(task["body"].get("repeatCondition"))
        members: dict[str, Any] = {}
        if not repeats:
            members = dict(item) if isinstance(item, dict) else {"loop_iter.item": item}
        members["loop_iter.index"] = index
        body, scope = task["body"]["body"], f"{_scope_name(task)}.loop[{index}]/"
        self._create(task, body, scope, body, {}, members)

    def _finish_loop(self, task: Task, children: list[Task]) -> None:
        continue_on = task["body"].get("continueOn", {})
        verdict = self._verdict(task, children)
        if task["body"].get("repeatCondition") and continue_on.get("failed"):
            verdict = self._verdict(task, children[-1:])
            if children[-1]["phase"] == "Failed":
                verdict = "Failed"
        outputs = {}
        if not children or verdict == "Succeeded":
            outputs = self._aggregate(task, children)
        self._finish(task, verdict, outputs)

    def _aggregate(self, task: Task, children: list[Task]) -> dict[str, Any]:
        aggregate = task["body"].get("aggregate", {})
        strategy, wanted = aggregate.get("strategy", "last"), aggregate.get("parameters", [])
        declared = task["body"].get("outputs", {}).get("parameters", [])
        if not children:
            names = wanted or [parameter["name"] for parameter in declared]
            return {name: [] for name in names} if strategy == "list" else {}
        if strategy == "list":
            good = [
                child["outputs"] if child["phase"] in ("Succeeded", "Skipped") else {}
                for child in children
            ]
            names = wanted or [name for outputs in good for name in outputs]
            return {name: [outputs.get(name) for outputs in good] for name in names}
        chosen = children[0 if strategy == "first" else -1]["outputs"]
        return {name: chosen[name] for name in chosen if not wanted or name in wanted}


def is_open(task: Task) -> bool:
    return task["phase"] in OPEN


def _scope_name(task: Task) -> str:
    return task["name"] if task["attempt"] == 1 else f"{task['name']}#{task['attempt']}"


def _template(owner: dict[str, Any], hook: str) -> str:
    return str(owner.get("hooks", {}).get(hook, {}).get("template", ""))


def _override(conditions: dict[str, str] | None, phase: str, env: Env) -> str:
    for name, result in (("succeeded", "Succeeded"), ("failed", "Failed"), ("error", "Error")):
        if conditions and conditions.get(name) and truth(conditions[name], env):
            return result
    return phase


def _whitelisted(declared: dict[str, Any] | None, outputs: dict[str, Any]) -> dict[str, Any]:
    if not declared or not declared.get("parameters"):
        return outputs
    kept = {}
    for parameter in declared["parameters"]:
        value = outputs.get(parameter["name"])
        value = parameter.get("value") if value is None else value
        if value is not None:
            kept[parameter["name"]] = value
    return kept
