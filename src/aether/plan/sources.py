"""Where values come from, compiled: literals, references, expressions, placeholders, secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ..document import Artifact, Limit, Outputs, Parameter, Template, ValueFrom, Values, parse_rate
from ..expr import Evaluator, Program, compile_expression, compile_template
from ..expr import Template as Placeholders
from ..record import NamedValue, SecretRef, encode_values
from .spec import ArtifactSlot, Binding, LimitSpec, OutputSlot, Slot, Source

ROOTS = frozenset({"workflow", "inputs", "tasks", "loop_iter", "iterator"})
_ALIAS, _PARAMETERS = "workflow.arguments.parameters.", "workflow.parameters."


class Sources:
    """`has_secrets` is true once any source was a reference to one."""

    def __init__(self, evaluator: Evaluator | None, namespaces: Collection[str]) -> None:
        self._evaluator = evaluator
        self._roots = ROOTS | frozenset(namespaces)
        self.has_secrets = False

    def binding(self, inputs: Values | None, arguments: Values | None) -> Binding:
        slots = self._slots(inputs, arguments)
        artifacts = {a.name: a for a in artifact_slots(inputs.artifacts if inputs else ())}
        artifacts |= {a.name: a for a in artifact_slots(arguments.artifacts if arguments else ())}
        varies = any(slot.source is not None and not _is_constant(slot.source) for slot in slots)
        encoded = None
        if slots and not varies:
            encoded = encode_values(
                NamedValue(s.name, s.type, s.source.constant if s.source else None) for s in slots
            )
        return Binding(slots, encoded, varies, tuple(artifacts.values()))

    def _slots(
        self, inputs: Values | None, arguments: Values | None, any_root: bool = False
    ) -> tuple[Slot, ...]:
        called = {p.name: p for p in parameters_of(arguments)}
        slots: list[Slot] = []
        for declared in parameters_of(inputs):
            argument = called.pop(declared.name, None)
            source = self._source(argument, declared.default, any_root) if argument else None
            from_call = source is not None
            if source is None:
                source = self._source(declared, declared.default)
            if source is None and declared.default is not None:
                source = self._literal(declared.default)
            slots.append(
                Slot(
                    declared.name,
                    declared.type,
                    source,
                    checked=source is not None and source.template is not None and not any_root,
                    from_call=from_call,
                )
            )
        for argument in called.values():
            source = self._source(argument, None, any_root)
            slots.append(
                Slot(argument.name, argument.type if any_root else "", source, False, True)
            )
        return tuple(slots)

    def _source(self, parameter: Parameter, default: Any, any_root: bool = False) -> Source | None:
        if parameter.value is not None:
            return self._literal(parameter.value, any_root)
        if parameter.value_from is not None:
            return self._reference(parameter.value_from, default)
        return None

    def _literal(self, value: Any, any_root: bool = False) -> Source:
        roots = _ANY_ROOT if any_root else self._roots
        template = compile_template(value, self._evaluator, roots)
        return Source(constant=value) if template is None else Source(template=template)

    def _reference(self, reference: ValueFrom, default: Any) -> Source | None:
        if reference.path or reference.parameter:
            key = without_alias(reference.path or reference.parameter)
            return Source(key=key, default=default, default_template=self._template(default))
        if reference.expression:
            program = self.expression(reference.expression)
            if program is None:
                return None
            template = self._template(default)
            return Source(program=program, default=default, default_template=template)
        if reference.secret_key_ref is not None:
            secret = reference.secret_key_ref
            self.has_secrets = True
            return Source(secret=SecretRef(secret.name, secret.key, default))
        return None

    def _template(self, value: Any) -> Placeholders | None:
        return compile_template(value, self._evaluator, self._roots)

    def limits(self, limits: Iterable[Limit]) -> tuple[LimitSpec, ...]:
        found: list[LimitSpec] = []
        for limit in limits:
            key, group = self._template(limit.key), self._template(limit.fair)
            count, span = (parse_rate(limit.rate) or (0, 0)) if limit.rate else (0, 0)
            found.append(
                LimitSpec(
                    limit.key if key is None else key,
                    limit.concurrency,
                    count,
                    span,
                    limit.fair if group is None else group,
                )
            )
        return tuple(found)

    def output(self, parameter: Parameter) -> OutputSlot:
        reference = parameter.value_from
        if reference is not None and reference.secret_key_ref is not None:
            reference = None  # a container's outputs never carry secrets
        source = self._reference(reference, None) if reference else None
        return OutputSlot(parameter.name, parameter.type, parameter.value, source)

    def program(self, text: str) -> Program | None:
        return self._evaluator.compile(text) if text and self._evaluator else None

    def expression(self, text: str) -> Program | None:
        return compile_expression(text, self._evaluator) if text and self._evaluator else None

    def loop_slots(
        self, template: Template, arguments: Values | None
    ) -> tuple[tuple[Slot, ...], tuple[Slot, ...]]:
        """(declared inputs of the body, remaining arguments of the loop)."""
        slots = self._slots(template.body.inputs, arguments, any_root=True)
        declared = {p.name for p in parameters_of(template.body.inputs)}
        return (
            tuple(slot for slot in slots if slot.name in declared),
            tuple(slot for slot in slots if slot.name not in declared),
        )


class _AnyRoot(frozenset[str]):
    """Loop arguments may name members of an item, whatever they are called."""

    def __contains__(self, root: object) -> bool:
        return True


_ANY_ROOT = _AnyRoot()


def parameters_of(holder: Values | Outputs | None) -> Iterable[Parameter]:
    return holder.parameters if holder else ()


def parameter_value(parameter: Parameter) -> Any:
    """A workflow parameter: its value, else its default; a secret stays a reference."""
    if parameter.value is None and parameter.value_from and parameter.value_from.secret_key_ref:
        secret = parameter.value_from.secret_key_ref
        return SecretRef(secret.name, secret.key, parameter.default)
    return parameter.default if parameter.value is None else parameter.value


def _is_constant(source: Source) -> bool:
    return not (source.template or source.key or source.program or source.secret)


def without_alias(key: str) -> str:
    return _PARAMETERS + key[len(_ALIAS) :] if key.startswith(_ALIAS) else key


def artifact_slots(artifacts: Iterable[Artifact]) -> tuple[ArtifactSlot, ...]:
    return tuple(
        ArtifactSlot(
            name=a.name,
            from_=a.from_.removeprefix("{{").removesuffix("}}").strip(),
            type=a.source.type if a.source else "",
            config=a.source.config if a.source else {},
            archive=a.archive.type if a.archive else "none",
        )
        for a in artifacts
    )
