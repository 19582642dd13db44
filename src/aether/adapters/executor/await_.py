"""await: a task that waits for a person."""

from __future__ import annotations

from ...ports import Outcome, Request, Schema
from ...record import NamedValue

_RESUMED = "__resumed"
_OWN = (_RESUMED, "message", "payload")


class AwaitExecutor:
    """Suspends with the input `message` until somebody resumes the task; what the resume brings becomes
    its outputs. `approved: false` in it makes the task Failed, with `reason` as the message.

    A `payload` object in what the resume brings is unpacked: its members are the outputs.
    """

    def __init__(self, type: str = "await") -> None:  # noqa: A002 - the protocol's own word
        # Open on both sides: what a resume brings becomes inputs, and then outputs.
        self._schema = Schema(type=type, description="Waits until a person resumes the task")

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome:
        inputs = request.inputs
        payload = inputs.get("payload")
        if not (request.resumed or _RESUMED in inputs):
            message = inputs.get("message")
            text = message if isinstance(message, str) and message else "waits to be resumed"
            return Outcome.suspended(text)
        answer = {name: value for name, value in inputs.items() if name not in _OWN}
        if isinstance(payload, dict):
            answer |= {str(name): value for name, value in payload.items()}
        outputs = [NamedValue(name, "", value) for name, value in answer.items()]
        if answer.get("approved") is False:
            reason = answer.get("reason")
            text = reason if isinstance(reason, str) and reason else "not approved"
            outcome = Outcome.failed(text, "not-approved")
            outcome.parameters = outputs
            return outcome
        return Outcome(parameters=outputs)
