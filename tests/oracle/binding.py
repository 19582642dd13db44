"""What task runs see and what they are given: environments and the binding of inputs."""

from __future__ import annotations

from typing import Any

from oracle.words import Env, Unresolved, look_up, substitute

Task = dict[str, Any]


class Values:
    """The half of the naive run that only reads."""

    spec: dict[str, Any]
    arguments: dict[str, Any]
    variables: dict[str, Any]
    tasks: list[Task]

    def children(self, task: Task) -> list[Task]:
        """Those of the current attempt, in order of creation."""
        return [
            child
            for child in self.tasks
            if child["parent"] is task and child["of_attempt"] == task["attempt"]
        ]

    def _base_env(self) -> Env:
        declared = self.spec.get("arguments", {}).get("parameters", [])
        values = {}
        for parameter in declared:
            value = parameter.get("value")
            values[parameter["name"]] = parameter.get("default") if value is None else value
        return dict(self.variables) | prefixed("workflow.parameters.", values | self.arguments)

    def _tasks_env(self, tasks: list[Task]) -> Env:
        env: Env = {}
        for task in tasks:
            name = f"tasks.{task['name']}."
            env = {key: value for key, value in env.items() if not key.startswith(name)}
            env[f"{name}phase"] = task["phase"]
            if task["code"] is not None:
                env[f"{name}code"] = task["code"]
                env[f"{name}msg"] = task["message"]
            env |= outputs_env(name, task["outputs"])
        return env

    def _scope_env(self, container: Task) -> Env:
        """What a child of `container` sees."""
        inputs = prefixed("inputs.parameters.", container["inputs"])
        return self._base_env() | inputs | self._tasks_env(self.children(container))

    def _outer_env(self, task: Task) -> Env:
        return self._scope_env(task["parent"]) if task["parent"] else self._base_env()

    def types(self, task: Task) -> dict[str, str]:
        """Of bound inputs: as declared, else as a loop's argument says, else none."""
        arguments: list[dict[str, Any]] = []
        if task["item"] is not None:
            arguments = task["parent"]["body"].get("arguments", {}).get("parameters", [])
        declared = task["body"].get("inputs", {}).get("parameters", [])
        return {p["name"]: p.get("type", "") for p in [*arguments, *declared]}

    def _bind(self, task: Task) -> dict[str, Any]:
        env = self._outer_env(task)
        declared = task["body"].get("inputs", {}).get("parameters", [])
        if task["item"] is not None:
            return self._bind_iteration(task, declared, env)
        given = {p["name"]: p for p in task["call"].get("arguments", {}).get("parameters", [])}
        bound = {}
        for parameter in [*declared, *(given[n] for n in given if n not in _names(declared))]:
            argument = given.get(parameter["name"], {})
            own = parameter if parameter is not argument else {}
            bound[parameter["name"]] = _first(argument, own, env)
        return bound

    def _bind_iteration(
        self, task: Task, declared: list[dict[str, Any]], env: Env
    ) -> dict[str, Any]:
        members: dict[str, Any] = task["item"]
        loop_env = env | members
        loop_env["iterator.index"] = members["loop_iter.index"]
        if "loop_iter.item" in members:
            loop_env["iterator.item"] = members["loop_iter.item"]
        arguments = task["parent"]["body"].get("arguments", {}).get("parameters", [])
        given = {p["name"]: substitute(p.get("value"), loop_env) for p in arguments}
        bound = members | given
        for parameter in declared:
            if parameter["name"] not in bound:
                bound[parameter["name"]] = _first({}, parameter, env)
        return bound


def _names(parameters: list[dict[str, Any]]) -> set[str]:
    return {parameter["name"] for parameter in parameters}


def prefixed(prefix: str, values: dict[str, Any]) -> Env:
    return {prefix + name: value for name, value in values.items()}


def outputs_env(prefix: str, outputs: dict[str, Any]) -> Env:
    return prefixed(f"{prefix}outputs.parameters.", outputs)


def _first(argument: dict[str, Any], declared: dict[str, Any], env: Env) -> Any:
    """Argument value, argument reference, declared value, declared reference, default."""
    for source in (argument, declared):
        if source.get("value") is not None:
            return substitute(source["value"], env)
        if "valueFrom" in source:
            try:
                return look_up(source["valueFrom"], env)
            except Unresolved:
                break
    return substitute(declared.get("default"), env)
