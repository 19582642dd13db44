"""Sight: what an expression or reference can see from where it stands."""

from __future__ import annotations

from functools import cached_property

from ..document import Dag, Loop, Task
from .context import Context, Entry
from .names import shown

Complaint = tuple[str, str, str]  # code, what, fix
_TASK_MEMBERS = frozenset({"phase", "code", "msg", "message", "outputs"})
_UPSTREAM_LIMIT = 5_000


class Siblings:
    """The nodes of one DAG, and who waits for whom."""

    def __init__(self, ctx: Context, dag: Dag) -> None:
        self._dag = dag
        self._above: list[int] | None = None
        self._ctx = ctx

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each node by name."""
        names = [node.name for node in self._dag.tasks]
        return dict(zip(names, range(len(names)), strict=True))

    def waits_for(self, node: int, other: int) -> bool:
        """Whether `other` is over before `node` begins. True where finding out would cost much."""
        tasks = self._dag.tasks
        if tasks[other].name in tasks[node].dependencies or len(tasks) > _UPSTREAM_LIMIT:
            return True
        if self._above is None:
            self._above = self._ancestors()
        return bool(self._above[node] >> other & 1)

    def _ancestors(self) -> list[int]:
        """One bit set for each node; nodes in or behind a cycle see everything."""
        tasks, index = self._dag.tasks, self.index
        followers: list[list[int]] = [[] for _ in tasks]
        waiting = [0] * len(tasks)
        for position, node in enumerate(tasks):
            for name in set(node.dependencies):
                if (other := index.get(name)) is not None:
                    followers[other].append(position)
                    waiting[position] += 1
        above = [0] * len(tasks)
        ready = [position for position, count in enumerate(waiting) if not count]
        while ready:
            here = ready.pop()
            mask = above[here] | 1 << here
            for follower in followers[here]:
                above[follower] |= mask
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
        return [-1 if waiting[at] else mask for at, mask in enumerate(above)]

    def complaint(self, name: str, tail: list[str], node: int | None) -> Complaint | None:
        found = self.index.get(name)
        if found is None:
            speller = self._ctx.report.speller
            fix = speller.did_you_mean(name, self.index, "name a task of the same DAG")
            return "unknown-reference", f"there is no task '{shown(name)}' here", fix
        if node is not None and (found == node or not self.waits_for(node, found)):
            what = f"this task does not wait for '{name}', so there may be no value yet"
            if found == node:
                what = f"the task '{name}' reads its own result before it has one"
            return "not-upstream", what, f"add '{name}' to its dependencies"
        return self._result(self._dag.tasks[found], tail)

    def _result(self, task: Task, tail: list[str]) -> Complaint | None:
        if not tail or tail[0] not in _TASK_MEMBERS:
            fix = "write .phase, .code, .msg or .outputs.parameters.<name>"
            what = f"a task has no member '{shown('.'.join(tail))}'"
            return "unknown-reference", what, fix
        if tail[:2] != ["outputs", "parameters"] or len(tail) < 3 or task.template_ref:
            return None
        names = self._outputs(task)
        if names is None or any(tail[2] == name or tail[2:] == name.split(".") for name in names):
            return None
        speller = self._ctx.report.speller
        fix = speller.did_you_mean(tail[2], names, "declare it under its outputs")
        return "unknown-reference", f"'{task.name}' has no output '{shown(tail[2])}'", fix

    def _outputs(self, task: Task) -> list[str] | None:
        """The outputs that `task` can have; None when that is not known."""
        body: Task | Dag | Loop = task
        if task.template:
            entry = self._ctx.templates.get(task.template)
            if entry is None or entry.kind == "loop":
                return None
            body = entry.body
        declared = body.outputs.parameters if body.outputs else ()
        return [parameter.name for parameter in declared] or None


class Sight:
    """`inputs` is the container whose inputs are seen and `siblings` the tasks; None when that is not
    known, and then nothing is said. `node` is the place of the task that reads. `roots` are further
    first words."""

    __slots__ = ("_ctx", "_inputs", "_node", "_roots", "_siblings")

    def __init__(
        self,
        ctx: Context,
        *,
        inputs: Entry | None = None,
        siblings: Siblings | None = None,
        node: int | None = None,
        roots: frozenset[str] = frozenset(),
    ) -> None:
        self._ctx = ctx
        self._inputs = inputs
        self._siblings = siblings
        self._node = node
        self._roots = roots

    def complaint(self, reference: str) -> Complaint | None:
        """Why `reference` has no value here; None when it may have one."""
        if reference in self._ctx.good_references:
            return None
        head, _, rest = reference.partition(".")
        if head in self._roots:
            return None
        tail = rest.split(".") if rest else []
        match head:
            case "workflow":
                complaint = self._workflow(tail)
                if complaint is None:
                    self._ctx.good_references.add(reference)
                return complaint
            case "inputs":
                return self._input(tail)
            case "tasks":
                return self._task(tail)
            case "loop_iter" | "iterator":
                what = f"'{shown(reference)}' exists only in a loop's own arguments and condition"
                fix = "pass it on as an argument of the loop"
                return "unknown-reference", what, fix
        if not tail:
            return None
        namespaces = self._ctx.known.namespaces
        if namespaces is None or head in namespaces:
            return None
        fix = self._ctx.report.speller.did_you_mean(
            head,
            (*namespaces, "workflow", "inputs", "tasks"),
            "register a variable source for it before the run starts",
        )
        return "unknown-namespace", f"no variable source serves '{shown(head)}' yet", fix

    def _workflow(self, tail: list[str]) -> Complaint | None:
        names = tail[1:] if tail[:1] == ["parameters"] else []
        if tail[:2] == ["arguments", "parameters"]:
            names = tail[2:]
        if not names:
            what = f"'workflow.{shown('.'.join(tail))}' does not exist"
            return "unknown-reference", what, "write workflow.parameters.<name>"
        return self._among(names, self._ctx.arguments, "the workflow has no argument", "arguments")

    def _input(self, tail: list[str]) -> Complaint | None:
        entry = self._inputs
        if entry is None or entry.passed is None or tail[:1] == ["artifacts"]:
            return None
        if tail[:1] != ["parameters"] or len(tail) < 2:
            what = f"'inputs.{shown('.'.join(tail))}' does not exist"
            return "unknown-reference", what, "write inputs.parameters.<name>"
        names = frozenset(entry.inputs) | entry.passed
        return self._among(tail[1:], names, f"'{entry.name}' has no input", "inputs")

    def _task(self, tail: list[str]) -> Complaint | None:
        if self._siblings is None or not tail:
            return None
        return self._siblings.complaint(tail[0], tail[1:], self._node)

    def _among(
        self, words: list[str], names: frozenset[str], what: str, where: str
    ) -> Complaint | None:
        if any(".".join(words[:length]) in names for length in range(1, len(words) + 1)):
            return None
        fix = self._ctx.report.speller.did_you_mean(
            words[0], names, f"declare it under {where}.parameters"
        )
        return "unknown-reference", f"{what} '{shown('.'.join(words))}'", fix
