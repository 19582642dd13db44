"""Requests as handlers see them, answers as they give them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from ...errors import NOWHERE, Problem, ProblemError, Refused
from .access import Principal

JSON = "application/json"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")
PROBLEM = "application/problem+json"


class Request(msgspec.Struct, kw_only=True):
    """`names` are the parts of the path that the route leaves open, decoded."""

    method: str
    path: str
    names: dict[str, str]
    query: Any = None  # of the route's query type
    body: Any = None  # of the route's body type; bytes where that is a document
    headers: dict[str, str]
    who: Principal
    is_yaml: bool = False


class Response(msgspec.Struct, kw_only=True):
    status: int = 200
    body: bytes = b""
    media: str = JSON
    headers: dict[str, str] = {}


class Stream(msgspec.Struct, kw_only=True):
    """An answer that goes on: its parts are sent as fast as they are read, and no faster."""

    parts: AsyncGenerator[bytes, None]
    media: str = "text/event-stream; charset=utf-8"
    headers: dict[str, str] = {}


class Rejected(ProblemError):
    """A request that never reaches the engine."""

    def __init__(self, status: int, problem: Problem, headers: Mapping[str, str] = {}) -> None:
        super().__init__(problem)
        self.status = status
        self.headers = dict(headers)


def answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(status=status, body=msgspec.json.encode(data), headers=headers or {})


def tagged(data: Any, request: Request) -> Response:
    """An answer that a client need not fetch again while it stays the same."""
    response = answer(data)
    tag = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
    known = request.headers.get("if-none-match", "")
    if tag in known or known == "*":
        return Response(status=304, headers={"etag": tag})
    response.headers["etag"] = tag
    return response


class ProblemView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What went wrong, where and how to mend it: one problem of possibly several. `type` is a URI of the
    code, `title` what such problems have in common, `detail` this one."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    fix: str = ""
    where: dict[str, Any] | None = None
    problems: list[dict[str, Any]] = []


def problem_response(
    status: int, problems: tuple[Problem, ...], headers: Mapping[str, str] = {}
) -> Response:
    first = problems[0]
    view = ProblemView(
        type=f"urn:aether:problem:{first.code}",
        title=first.code.replace("-", " "),
        status=status,
        detail=first.what,
        code=first.code,
        fix=first.fix,
        where=None if first.where == NOWHERE else msgspec.to_builtins(first.where),
        problems=[msgspec.to_builtins(each) for each in problems] if len(problems) > 1 else [],
    )
    return Response(
        status=status, body=msgspec.json.encode(view), media=PROBLEM, headers=dict(headers)
    )


def bad_request(what: str, fix: str = "") -> Refused:
    return Refused(Problem("bad-request", what, fix=fix))
