"""What an executor's answer is worth: whatever it is, an Outcome that can be reported comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import ProblemError, Refused
from ..ports import Outcome
from ..record import NamedValue, encode_values

_LONGEST_MESSAGE = 16_384


class Verdict(msgspec.Struct, frozen=True):
    """`outputs` are the outcome's parameters, encoded; None when there are none."""

    outcome: Outcome
    outputs: bytes | None = None


def judge(answer: object, executor_type: str) -> Verdict:
    """`answer` as executors may give it: an Outcome, a mapping of outputs, or None."""
    if answer is None:
        return Verdict(Outcome())
    if isinstance(answer, Outcome):
        if fault := _fault_in(answer):
            return _bad_answer(executor_type, fault)
        outcome = _presentable(answer)
    elif isinstance(answer, Mapping):
        for name in answer:
            if not isinstance(name, str):
                return _bad_answer(
                    executor_type, f"an output named {_shown(name)}, which is no text"
                )
        outcome = Outcome(parameters=[NamedValue(name, "", answer[name]) for name in answer])
    else:
        return _bad_answer(
            executor_type,
            f"{_shown(answer)} of type {type(answer).__name__}; it may return an Outcome, "
            "a mapping of output names to values, or None",
        )
    if not outcome.parameters:
        return Verdict(outcome)
    try:
        return Verdict(outcome, encode_values(outcome.parameters))
    except Refused as refused:
        return Verdict(Outcome.error(refused.problems[0].what, "not-json"))


def judge_exception(error: BaseException) -> Verdict:
    """What the executor raised, as an ERROR that says so without a traceback."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - an exception whose own text fails is still only that task's error
        text = f"(its text could not be made: {type(broken).__name__})"
    if isinstance(error, ProblemError):
        return Verdict(Outcome.error(cut(error.problems[0].what), error.code))
    return Verdict(Outcome.error(cut(f"{name}: {text}" if text else name), name))


def cut(text: str) -> str:
    """`text` as a message: of a length one can read and store, and always encodable."""
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[:_LONGEST_MESSAGE]}… ({len(text) - _LONGEST_MESSAGE} characters more)"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _presentable(outcome: Outcome) -> Outcome:
    """`outcome` with texts that can be stored. The executor's own object stays as it is: it may be one
    that it returns every time."""
    if not outcome.message and not outcome.error_type:
        return outcome
    return msgspec.structs.replace(
        outcome, message=cut(outcome.message), error_type=cut(outcome.error_type)
    )


def _fault_in(outcome: Outcome) -> str:
    """What makes `outcome` unreportable, or "". Structs do not check what they are made of."""
    if type(outcome.code) is not int:
        return f"an Outcome whose code is {_shown(outcome.code)}, not an int"
    if not isinstance(outcome.message, str):
        return f"an Outcome whose message is {_shown(outcome.message)}, not text"
    if not isinstance(outcome.error_type, str):
        return f"an Outcome whose error_type is {_shown(outcome.error_type)}, not text"
    if not isinstance(outcome.parameters, list):
        return f"an Outcome whose parameters are {_shown(outcome.parameters)}, not a list"
    for value in outcome.parameters:
        if type(value) is not NamedValue or type(value.name) is not str:
            return f"an Outcome with {_shown(value)} among its parameters, which is no NamedValue"
    return ""


def _bad_answer(executor_type: str, fault: str) -> Verdict:
    text = f"the executor '{executor_type}' returned {fault}"
    return Verdict(Outcome.error(cut(text), "bad-outcome"))


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as broken:  # noqa: BLE001 - a value that cannot even be shown is named by its type
        return f"a {type(value).__name__} (showing it failed: {type(broken).__name__})"
    return text if len(text) <= 80 else f"{text[:77]}..."
