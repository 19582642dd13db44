"""Routes of runs that are written as functions: start one by name, and speak with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ...errors import NotSupported, Problem
from ...flow import encode, encode_call, plain
from ...ports import FunctionStart
from ...record import NamedValue, decode_values, encode_values
from .messages import Request, Response, answer
from .runs import _Body, check_namespace, created, keyed
from .services import Services
from .spans import micros, seconds
from .views import HIDDEN, Answer


class Start(_Body):
    """Inputs by the names of the function's parameters, and how its run begins: after `delay` or `at` an
    instant, for `timeout` at most. `onExisting` says what a `runId` means that is taken."""

    inputs: dict[str, Any] = {}
    version: str = ""
    run_id: str = ""
    on_existing: Literal["attach", "fail", "restart_failed"] = "attach"
    delay: str = ""
    at: datetime | None = None
    timeout: str = ""
    labels: dict[str, str] = {}
    tier: str = ""


class Signal(_Body):
    """Signals with the same `key` are taken once."""

    payload: Any = None
    key: str = ""


class Update(_Body):
    """What the handler is called with, in order or by name. Asking again with the same `key` finds the same answer."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    key: str = ""
    timeout: str = "30s"


class Query(_Body):
    """What the handler is called with."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


async def start(services: Services, request: Request) -> Response:
    body: Start = request.body
    check_namespace(request.who, {})  # functions have no namespace of their own
    run_id, labels = keyed(request, body.run_id, body.labels)
    beginning = FunctionStart(
        name=request.names["name"],
        version=body.version,
        inputs=_inputs(body.inputs),
        run_id=run_id,
        on_existing=body.on_existing,
        delay=micros(body.delay, "delay"),
        at=body.at,
        timeout=micros(body.timeout, "timeout"),
        labels=labels or None,
        tier=body.tier,
    )

    async def begin() -> str:
        return await services.control.start_function(beginning)

    return await created(services, request, run_id, labels, begin)


async def signal(services: Services, request: Request) -> Response:
    body: Signal = request.body
    payload = None if body.payload is None else encode(body.payload, "payload")
    await services.control.signal(request.names["run"], request.names["name"], payload, body.key)
    return Response(status=204)


async def update(services: Services, request: Request) -> Response:
    body: Update = request.body
    wait = seconds(body.timeout, "timeout", services.limits.wait)
    who = request.who
    said = await services.control.update(
        request.names["run"], request.names["name"], _call(body), body.key, wait
    )
    return answer(Answer(result=_value(said) if who.may("values") else HIDDEN))


async def query(services: Services, request: Request) -> Response:
    if services.queries is None:
        raise NotSupported(
            Problem(
                "no-queries",
                "no function runs in this process, and none was asked through another",
                fix="ask through the process that serves the function",
            )
        )
    said = await services.queries.query(
        request.names["run"], request.names["name"], _call(request.body)
    )
    return answer(Answer(result=_value(said)))


def _inputs(given: dict[str, Any]) -> bytes | None:
    if not given:
        return None
    return encode_values(NamedValue(name, "", plain(value, name)) for name, value in given.items())


def _call(body: Update | Query) -> bytes | None:
    return encode_call(tuple(body.args), body.kwargs)


def _value(data: bytes | None) -> Any:
    """As JSON has it: this process makes no objects of what came from another."""
    values = decode_values(data)
    return values[0].value if values else None
