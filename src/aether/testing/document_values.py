"""The small parts of random documents: values, references, expressions, inputs."""

from __future__ import annotations

from random import Random
from typing import Any

from .chance import Chance

Json = Any
VARIABLES = {"deploy.region": "ap-east-1", "deploy.count": 2}
EXECUTORS = ("echo", "other")
OUTPUT_NAMES = ("p0", "p1", "p2")
CODES = ("0", "2", "3", "7")
VALUES: tuple[Json, ...] = (1, 2, 7, 1.5, "a", "7", "true", True, False, [1, 2], ["a"], {"k0": 1})
TEXTS = ("a", "b", "7")


MOODS = (
    "hooks",
    "when",
    "continueOn",
    "retry",
    "timeout",
    "phaseConditions",
    "entrypoints",
    "failFast",
    "parallelism",
    "placeholders",
    "run timeout",
)


def random_value(rng: Random) -> Json:
    return rng.choice(VALUES)


class Values:
    """The small parts of a document: names, chances, references, expressions, inputs. `budget` bounds the
    task runs a run of it may reach, roughly."""

    def __init__(self, seed: int) -> None:
        self.rng = Chance(f"document {seed}")
        self.templates: list[dict[str, Json]] = []
        self.budget = self.rng.choice((5, 12, 20, 30))
        self.features: set[str] = set()
        self.numbers = 0
        self.hooked = False
        self.workflow_keys: list[str] = []
        # A document leans to some features, so that they meet often enough.
        self.moods = {name: self.rng.choice((0.0, 0.15, 0.5)) for name in MOODS}

    def fresh(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}{self.numbers}"

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def mood(self, name: str) -> bool:
        return self.chance(self.moods[name])

    def use(self, feature: str) -> None:
        self.features.add(feature)

    def timeout(self) -> str:
        """No two are alike, so that no two things are due at one instant by chance alone."""
        self.numbers += 1
        return f"{self.rng.randint(1, 20) * 1000 + self.numbers}ms"

    # references and expressions

    def key(self, keys: list[str]) -> str:
        if self.chance(0.03):
            return "inputs.parameters.missing"
        return str(self.rng.choice([*keys, *self.workflow_keys, *VARIABLES, *keys]))

    def literal(self) -> str:
        return self.rng.choice(("1", "7", "'a'", "'7'", "true", "'Succeeded'", "null"))

    def comparison(self, keys: list[str]) -> str:
        key = self.key(keys)
        if self.chance(0.15):
            return f"{key} {self.rng.choice(('<', '<=', '>', '>='))} 2"
        if key.endswith(".phase"):
            phase = self.rng.choice(("Succeeded", "Skipped", "Failed"))
            return f"{key} {self.rng.choice(('==', '!='))} '{phase}'"
        if key.endswith(".code"):
            return f"{key} {self.rng.choice(('==', '!='))} {self.rng.choice(CODES)}"
        return f"{key} {self.rng.choice(('==', '!=', '!='))} {self.literal()}"

    def condition(self, keys: list[str]) -> str:
        if self.chance(0.2):
            return f"{self.comparison(keys)} && {self.comparison(keys)}"
        return self.comparison(keys)

    def value_from(self, keys: list[str]) -> dict[str, str]:
        kind = self.rng.choice(("parameter", "parameter", "path", "expression"))
        self.use(f"valueFrom.{kind}")
        key = self.key(keys)
        if kind == "path":
            return {"path": key.replace("workflow.arguments.", "workflow.")}
        if kind == "expression":
            text = self.rng.choice((key, self.comparison(keys), "{{" + key + "}} == 1"))
            return {"expression": text}
        return {"parameter": key}

    def text_or_value(self, keys: list[str], feature: str) -> Json:
        if not self.mood("placeholders"):
            return random_value(self.rng)
        self.use(f"placeholders in {feature}")
        whole = "{{" + self.key(keys) + "}}"
        within = f"<{{{{ {self.key(keys)} }}}}>"
        if self.chance(0.2):
            self.use("braces and expressions in placeholders")
            return self.rng.choice((f"{{{{ {self.key(keys)} == 7 }}}}", "{{{{a}}}}"))
        return self.rng.choice((whole, within, [whole, 1], {"k": within}))

    # values

    def declared_inputs(self, outer: list[str]) -> list[dict[str, Json]]:
        declared = []
        for _ in range(self.rng.choice((0, 0, 1, 2, 3))):
            parameter: dict[str, Json] = {"name": self.fresh("i")}
            if self.chance(0.4):
                parameter["type"] = "any"
            kind = self.rng.choice(("none", "value", "valueFrom", "default", "default"))
            if kind == "valueFrom":
                parameter[kind] = self.value_from(outer)
                if self.chance(0.5):
                    parameter["default"] = random_value(self.rng)
            elif kind != "none":
                parameter[kind] = self.text_or_value(outer, "inputs")
            self.use(f"input {kind}")
            declared.append(parameter)
        return declared

    def arguments(self, target: str, keys: list[str]) -> list[dict[str, Json]]:
        names = [p["name"] for p in self.inputs_of(target) if self.chance(0.7)]
        if self.chance(0.3):
            names.append(self.fresh("x"))
            self.use("extra argument")
        result = []
        for name in names:
            parameter: dict[str, Json] = {"name": name}
            if self.chance(0.5):
                parameter["valueFrom"] = self.value_from(keys)
            else:
                parameter["value"] = self.text_or_value(keys, "arguments")
            self.use("call arguments")
            result.append(parameter)
        return result

    def inputs_of(self, name: str) -> list[dict[str, Json]]:
        for template in self.templates:
            ((_, body),) = template.items()
            if body["name"] == name:
                return list(body.get("inputs", {}).get("parameters", []))
        return []
