"""Random `aether/v1` documents from a seed, as plain JSON data, and the features each one uses.

A reference to a task always names something upstream of the place it stands in, so that what it sees
never depends on the order in which one decision does its work.
"""

from __future__ import annotations

from .document_values import CODES, EXECUTORS, OUTPUT_NAMES, TEXTS, Json, Values, random_value
from .document_values import VARIABLES as VARIABLES

HOOKS = (
    "onStart",
    "onSuccess",
    "onFailure",
    "onError",
    "onSuspend",
    "onResume",
    "onCancel",
    "onExit",
)


class Generator(Values):
    """Makes one document."""

    # the whole

    def document(self) -> dict[str, Json]:
        spec: dict[str, Json] = {}
        arguments = [self.workflow_argument() for _ in range(self.rng.randint(0, 3))]
        if arguments:
            spec["arguments"] = {"parameters": arguments}
        self.workflow_keys = [
            self.rng.choice(("workflow.parameters.", "workflow.arguments.parameters."))
            + argument["name"]
            for argument in arguments
        ]
        kind = self.rng.choices(("dag", "loop", "task"), (8, 2, 1))[0]
        self.use(f"entry {kind}")
        spec["entrypoint"] = getattr(self, kind)(0, [])
        if self.mood("hooks"):
            spec["hooks"] = self.hooks("workflow", HOOKS)
        if self.hooked:
            self.templates.append({"task": {"name": "hook", "executor": {"type": "echo"}}})
        spec["templates"] = self.templates
        if self.mood("run timeout"):
            spec["timeout"] = self.timeout()
            self.use("workflow timeout")
        if self.mood("parallelism"):
            spec["parallelism"] = self.rng.randint(1, 3)
            self.use("spec.parallelism")
        metadata = {"name": "random"}
        return {"apiVersion": "aether/v1", "kind": "Workflow", "metadata": metadata, "spec": spec}

    def workflow_argument(self) -> dict[str, Json]:
        parameter: dict[str, Json] = {"name": self.fresh("w")}
        parameter[self.rng.choice(("value", "default"))] = random_value(self.rng)
        self.use("workflow arguments")
        return parameter

    # tasks

    def task(self, depth: int, outer: list[str]) -> str:
        reusable = [t["task"]["name"] for t in self.templates if "task" in t]
        if reusable and self.chance(0.4):
            return str(self.rng.choice(reusable))
        body = {"name": self.fresh("t"), "executor": {"type": self.rng.choice(EXECUTORS)}}
        self.leaf_members(body, [])
        if self.mood("retry"):
            body["retry"] = self.retry("template", f"tasks.{body['name']}.")
        self.templates.append({"task": body})
        return str(body["name"])

    def leaf_members(self, body: dict[str, Json], outer: list[str]) -> None:
        if declared := self.declared_inputs(outer):
            body["inputs"] = {"parameters": declared}
        if self.chance(0.3):
            body["outputs"] = {"parameters": self.whitelist()}
        if self.mood("timeout"):
            body["timeout"] = self.timeout()
            self.use("task timeout")
        if self.mood("phaseConditions"):
            body["phaseConditions"] = self.phase_conditions(
                ["phase", "code", "outputs.parameters.p0"], "task"
            )

    def whitelist(self) -> list[dict[str, Json]]:
        self.use("output whitelist")
        declared: list[dict[str, Json]] = []
        for name in self.rng.sample(OUTPUT_NAMES, self.rng.randint(1, 2)):
            declared.append({"name": name})
            if self.chance(0.4):
                declared[-1]["value"] = random_value(self.rng)
                self.use("output fallback")
        return declared

    def phase_conditions(self, keys: list[str], kind: str) -> dict[str, str]:
        self.use(f"phaseConditions of a {kind}")
        result = {}
        for name in self.rng.sample(("succeeded", "failed", "error"), self.rng.randint(1, 2)):
            key = self.rng.choice(keys)
            if key.endswith("phase"):
                phases = ("Failed", "Error", "Succeeded", "Suspended", "Timeout")
                result[name] = f"{key} == '{self.rng.choice(phases)}'"
            elif key == "code":
                result[name] = f"code == {self.rng.choice(CODES)}"
            else:
                result[name] = f"{key} == {self.literal()}"
        return result

    def retry(self, place: str, prefix: str) -> dict[str, Json]:
        self.use(f"retry of a {place}")
        policy: dict[str, Json] = {"limit": self.rng.choice((0, 1, 1, 2, 3))}
        if self.chance(0.35):
            self.use("retry expression")
            policy["expression"] = self.rng.choice(
                (
                    f"{prefix}phase != 'Succeeded'",
                    f"{prefix}phase == 'Failed'",
                    f"{prefix}code == {self.rng.choice(CODES)}",
                    f"{prefix}msg == 'bad'",
                    f"{prefix}outputs.parameters.p0 != 1",
                )
            )
        if self.chance(0.4):
            self.use("backoff")
            policy["backoff"] = {
                "initial": f"{self.rng.randint(1, 5)}s",
                "factor": self.rng.choice((1.0, 2.0, 3.0)),
                "max": self.rng.choice(("4s", "60s")),
                "jitter": self.rng.choice((0.0, 0.0, 0.5, 1.0)),
            }
        if self.chance(0.3):
            self.use("nonRetryable")
            policy["nonRetryable"] = ["BadInput"]
        return policy

    def continue_on(self) -> dict[str, bool]:
        names = ("failed", "error", "timeout")
        return {name: True for name in names if self.chance(0.6)}

    def hooks(self, place: str, names: tuple[str, ...]) -> dict[str, Json]:
        self.hooked = True
        self.use(f"hooks of a {place}")
        return {name: {"template": "hook"} for name in self.rng.sample(names, 3)}

    # containers

    def child(self, depth: int, outer: list[str]) -> tuple[str, str]:
        self.budget -= 1
        kinds = ["task"]
        if depth < 3 and self.budget > 0:
            kinds = self.rng.choices(("task", "dag", "loop"), (5, 3, 3))
        return kinds[0], getattr(self, kinds[0])(depth, outer)

    def container(self, prefix: str) -> tuple[dict[str, Json], list[str]]:
        body: dict[str, Json] = {"name": self.fresh(prefix)}
        declared = self.declared_inputs([])
        if declared:
            body["inputs"] = {"parameters": declared}
        return body, [f"inputs.parameters.{parameter['name']}" for parameter in declared]

    def dag(self, depth: int, outer: list[str]) -> str:
        body, keys = self.container("d")
        self.use("dag" if depth == 0 else "nested dag")
        nodes: list[dict[str, Json]] = []
        upstream: dict[str, list[str]] = {}
        for _ in range(self.rng.randint(1 if depth else 2, 3 if self.budget < 4 else 6)):
            nodes.append(self.node(depth, keys, nodes, upstream))
        self.rng.shuffle(nodes)
        body["tasks"] = nodes
        if self.chance(0.5):
            body["outputs"] = {"parameters": self.dag_outputs(nodes)}
        if self.mood("continueOn"):
            body["continueOn"] = self.continue_on()
            self.use("continueOn of a dag")
        if self.mood("entrypoints"):
            self.entrypoints(body)
        if self.mood("failFast"):
            body["failFast"] = True
            self.use("dag.failFast")
        if self.mood("timeout"):
            body["timeout"] = self.timeout()
            self.use("dag timeout")
        elif self.mood("phaseConditions"):
            named = [f"tasks.{nodes[0]['name']}.phase", "phase", "phase"]
            body["phaseConditions"] = self.phase_conditions(named, "dag")
        if self.mood("parallelism"):
            body["parallelism"] = self.rng.randint(1, 2)
            self.use("dag.parallelism")
        self.templates.append({"dag": body})
        return str(body["name"])

    def entrypoints(self, body: dict[str, Json]) -> None:
        self.use("entrypoints")
        names = [node["name"] for node in body["tasks"]]
        roots = [node["name"] for node in body["tasks"] if not node.get("dependencies")]
        pool = roots if self.chance(0.7) else names
        chosen = self.rng.sample(pool, self.rng.randint(1, len(pool)))
        body["entrypoints"] = chosen[0] if len(chosen) == 1 and self.chance(0.5) else chosen

    def dag_outputs(self, nodes: list[dict[str, Json]]) -> list[dict[str, Json]]:
        self.use("dag outputs")
        outputs: list[dict[str, Json]] = []
        for name in self.rng.sample(OUTPUT_NAMES, self.rng.randint(1, 2)):
            node = self.rng.choice(nodes)["name"]
            key = f"tasks.{node}.outputs.parameters.{self.rng.choice(OUTPUT_NAMES)}"
            if self.chance(0.2):
                outputs.append({"name": name, "value": self.rng.choice((1, "a", [1]))})
            else:
                outputs.append({"name": name, "valueFrom": self.value_from([key, key, key])})
        return outputs

    def node(
        self,
        depth: int,
        inputs: list[str],
        before: list[dict[str, Json]],
        upstream: dict[str, list[str]],
    ) -> dict[str, Json]:
        node: dict[str, Json] = {"name": self.fresh("n")}
        names = [other["name"] for other in before]
        needs = self.rng.sample(names, self.rng.randint(0, min(2, len(names))))
        if needs:
            node["dependencies"] = needs
        seen = sorted({name for need in needs for name in [need, *upstream[need]]})
        upstream[node["name"]] = seen
        keys = list(inputs)
        for name in seen:
            keys += [f"tasks.{name}.outputs.parameters.{output}" for output in OUTPUT_NAMES[:2]]
            keys += [f"tasks.{name}.phase"]
            keys += [f"tasks.{name}.code"] if "executor" in by_name(before, name) else []
        self.what_runs(node, depth, keys)
        if self.mood("hooks"):
            node["hooks"] = self.hooks("node", HOOKS)
        if keys and self.mood("when"):
            self.use("when")
            node["when"] = self.condition(keys)
        if self.mood("continueOn"):
            node["continueOn"] = {} if self.chance(0.2) else self.continue_on()
            self.use("continueOn of a node" if node["continueOn"] else "empty continueOn")
        if "retry" not in node and self.mood("retry"):
            node["retry"] = self.retry("node", f"tasks.{node['name']}.")
        return node

    def what_runs(self, node: dict[str, Json], depth: int, keys: list[str]) -> None:
        if self.chance(0.25):
            self.use("inline executor")
            self.budget -= 1
            node["executor"] = {"type": self.rng.choice(EXECUTORS)}
            self.leaf_members(node, keys)
            return
        kind, template = self.child(depth + 1, keys)
        node["template"] = template
        if arguments := self.arguments(template, keys):
            node["arguments"] = {"parameters": arguments}
        # What a condition says of a container that ran out of time is not settled.
        settled = kind == "task" or "phaseConditions" not in self.body_of(template)
        if settled and (self.mood("timeout") or self.retries_a_container(node, kind)):
            node["timeout"] = self.timeout()
            self.use("node timeout" if kind == "task" else f"{kind} timeout")

    def retries_a_container(self, node: dict[str, Json], kind: str) -> bool:
        """Containers are retried only after a timeout of their own."""
        if kind == "task" or not self.chance(0.7):
            return False
        self.use("retry of a container")
        node["retry"] = self.retry("node", f"tasks.{node['name']}.")
        return True

    def body_of(self, name: str) -> dict[str, Json]:
        bodies = (body for template in self.templates for body in template.values())
        return next(body for body in bodies if body["name"] == name)

    def loop(self, depth: int, outer: list[str]) -> str:
        body, keys = self.container("l")
        self.use("loop" if depth == 0 else "nested loop")
        mode = self.rng.choice(("items", "itemsFrom", "itemsFrom", "repeatCondition"))
        self.use(mode)
        count = self.rng.randint(1, 4 if self.budget > 3 else 2)
        kind, body["body"] = self.child(depth + 1, [])
        if kind != "task":
            self.use(f"{kind} in a loop")
        if mode == "items":
            body["items"] = [self.item() for _ in range(count)]
        elif mode == "itemsFrom":
            self.items_from(body, count)
        else:
            self.repeat(body, kind)
        if mode != "repeatCondition":
            if self.chance(0.3):
                body["concurrency"] = self.rng.randint(1, 2)
                self.use("concurrency")
            if self.chance(0.2):
                body["maxIterations"] = self.rng.randint(1, 3)
                self.use("maxIterations")
        if self.chance(0.6):
            body["arguments"] = {"parameters": self.loop_arguments(body, keys)}
            self.use("loop arguments")
        self.loop_policies(body)
        self.templates.append({"loop": body})
        return str(body["name"])

    def item(self) -> Json:
        if self.chance(0.35):
            self.use("object items")
            return {"k0": self.rng.choice(TEXTS), self.rng.choice(("k1", "i1", "i2")): 7}
        return random_value(self.rng) if self.chance(0.3) else self.rng.choice((1, 2, "a", "b"))

    def items_from(self, body: dict[str, Json], count: int) -> None:
        name = self.fresh("i")
        kind = self.rng.choice(
            ("list", "list", "list", "text", "empty", "empty", "null", "null", "bad", "bad text")
        )
        self.use(f"itemsFrom a {kind}")
        value = {
            "list": [self.item() for _ in range(count)],
            "text": '["a", {"k0": 1}, 2]',
            "empty": [],
            "null": None,
            "bad": 7,
            "bad text": "a",
        }[kind]
        parameters = body.setdefault("inputs", {}).setdefault("parameters", [])
        parameters.append({"name": name} if value is None else {"name": name, "value": value})
        key = f"inputs.parameters.{name}"
        body["itemsFrom"] = self.rng.choice((key, "{{" + key + "}}", "{{ " + key + " }}"))

    def repeat(self, body: dict[str, Json], kind: str) -> None:
        name = body["body"]
        body["maxIterations"] = self.rng.randint(1, 4)
        body["repeatCondition"] = self.rng.choice(
            (
                f"loop_iter.index < {self.rng.randint(0, 3)}",
                f"tasks.{name}.phase == 'Succeeded'",
                f"tasks.{name}.phase != 'Succeeded'",
                f"tasks.{name}.outputs.parameters.p0 != 1",
                "true",
            )
        )

    def loop_arguments(self, body: dict[str, Json], keys: list[str]) -> list[dict[str, Json]]:
        names = [p["name"] for p in self.inputs_of(body["body"]) if self.chance(0.5)]
        if self.chance(0.6):
            names.append(self.fresh("x"))
        seen = [*keys, "loop_iter.index", "iterator.index", "k0"]
        if "repeatCondition" in body:
            seen = [*keys, "loop_iter.index"]
        elif not any(isinstance(item, dict) for item in body.get("items", [{}])):
            seen += ["loop_iter.item", "iterator.item"]
        result = []
        for name in names:
            value = random_value(self.rng)
            if self.chance(0.7):
                key = "{{" + self.rng.choice(seen) + "}}"
                value = self.rng.choice((key, key, f"<{key}>", [key]))
                self.use("placeholders in loop arguments")
            result.append({"name": name, "value": value, "type": self.rng.choice(("", "any"))})
        return result

    def loop_policies(self, body: dict[str, Json]) -> None:
        if self.chance(0.7):
            strategy = self.rng.choice(("first", "last", "list", "list"))
            body["aggregate"] = {"strategy": strategy}
            self.use(f"aggregate {strategy}")
            if self.chance(0.4):
                body["aggregate"]["parameters"] = self.rng.sample(OUTPUT_NAMES, 2)
                self.use("aggregate filter")
        if self.chance(0.3):
            body["outputs"] = {"parameters": [{"name": self.rng.choice(OUTPUT_NAMES)}]}
        if self.mood("continueOn"):
            body["continueOn"] = self.continue_on()
            self.use("continueOn of a loop")
        if self.mood("retry"):
            body["retry"] = self.retry("loop", f"tasks.{body['body']}.")
        if self.mood("failFast"):
            body["failFast"] = True
            self.use("loop.failFast")
        if self.mood("timeout"):
            body["timeout"] = self.timeout()
            self.use("loop timeout")
        elif self.mood("phaseConditions"):
            body["phaseConditions"] = self.phase_conditions(["phase"], "loop")


def by_name(nodes: list[dict[str, Json]], name: str) -> dict[str, Json]:
    return next(node for node in nodes if node["name"] == name)


def random_document(seed: int) -> tuple[dict[str, Json], set[str]]:
    generator = Generator(seed)
    return generator.document(), generator.features
