"""The ASGI application: finds the route, judges the request, calls the handler, shows what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import aclosing
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, unquote

from ...errors import EngineBug, Problem, ProblemError, StoreError
from ...ports import Fault
from . import guard
from .access import LOCAL, Denied, Principal
from .bodies import Gone, decode_body, decode_query, read_body
from .messages import Rejected, Request, Response, Stream, problem_response
from .runs import visible
from .services import Services
from .statuses import status_of
from .table import ROUTES, Route

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

audit = logging.getLogger("aether.audit")
"""One line for each request that changes something: who, what, and how it was answered. Where nobody needs a
token there is no who, and the lines are for debugging."""

_SAFE = ("GET", "HEAD")


class Application:
    def __init__(self, services: Services, routes: Iterable[Route] = ROUTES) -> None:
        self._services = services
        self._routes = Routes(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = _headers(scope)
        try:
            response = await self._respond(scope, headers, receive)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            response = self._failed(error, scope)
        if isinstance(response, Response):
            await _send(send, response, with_body=scope["method"] != "HEAD")
        else:
            await self._send_stream(send, receive, response, scope["method"])

    async def _respond(
        self, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> Response | Stream:
        services, method = self._services, scope["method"]
        path = _path(scope)
        route, names = self._routes.find(method, path)
        changes = method not in _SAFE
        if changes:
            guard.check_origin(headers)
        who = services.access.who(headers)
        if not (who.token_id and "authorization" in headers):
            # A page that reached us under a name of its own knows no good token, and has no cookie of ours.
            guard.check_host(headers, services.hosts)
        status: int | str = "refused"
        try:
            services.access.permit(who, route.needs)
            response = await self._handle(route, names, who, scope, headers, receive)
            status = response.status if isinstance(response, Response) else 200
        except Denied as denied:
            if denied.status == 401 and route.media == "text/html":
                return Response(status=303, headers={"location": "/login"})
            raise
        finally:
            if changes:
                level = logging.INFO if who is not LOCAL else logging.DEBUG
                audit.log(
                    level, "%s (%s) %s %s: %s", who.name, who.token_id or "-", method, path, status
                )
        return response

    async def _handle(
        self,
        route: Route,
        names: dict[str, str],
        who: Principal,
        scope: Scope,
        headers: dict[str, str],
        receive: Receive,
    ) -> Response | Stream:
        services = self._services
        if services.draining.is_set() and not route.in_drain:
            raise Rejected(
                503,
                Problem(
                    "draining",
                    "the server is about to end and takes no new work",
                    fix="try again, at another server or a little later",
                ),
                {"retry-after": "5"},
            )
        if route.everywhere and who.namespaces:
            raise Rejected(
                403,
                Problem(
                    "not-permitted",
                    f"this belongs to no namespace, and token '{who.name}' is for some only",
                    fix="use a token that is not restricted to namespaces",
                ),
            )
        query = scope.get("query_string", b"").decode("latin-1")
        request = Request(
            method=scope["method"],
            path=_path(scope),
            names=names,
            query=decode_query(route.query, parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            who=who,
        )
        if route.body is not None:
            data = await read_body(receive, headers, services.limits.body)
            request.body = decode_body(route, headers, data, services.limits.depth)
        if "run" in names:
            await visible(services, who, names["run"])
        return await route.handler(services, request)

    def _failed(self, error: Exception, scope: Scope) -> Response:
        if isinstance(error, Denied):
            headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
            return problem_response(error.status, (error.problem,), headers)
        if isinstance(error, Gone):
            return Response(status=400)  # nobody reads it
        if isinstance(error, Rejected):
            return problem_response(error.status, error.problems, error.headers)
        if isinstance(error, ProblemError):
            return problem_response(status_of(error), error.problems)
        if isinstance(error, StoreError):
            problem = Problem(
                "store",
                str(error),
                fix="try again; what is repeated with the same id or key happens once",
            )
            return problem_response(503, (problem,), {"retry-after": "1"})
        fault = Fault(
            operation=f"answer {scope['method']} {_path(scope)}",
            what=f"{type(error).__name__}: {error}",
            next="the caller was told that it failed",
            severity="critical" if isinstance(error, EngineBug) else "error",
        )
        self._services.errors.on_error(fault, error)
        problem = Problem(
            "internal", "the server failed to answer; its log says why", fix="please report it"
        )
        return problem_response(500, (problem,))

    async def _send_stream(self, send: Send, receive: Receive, stream: Stream, method: str) -> None:
        """Each part is handed over only when the one before was taken: a reader that stops costs what the
        socket holds, and nothing more."""
        headers = {**guard.HEADERS, **stream.headers, "content-type": stream.media}
        await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
        if method == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        services = self._services
        services.streams += 1
        try:
            await guard.until_gone(receive, _pour(stream, send))
        finally:
            services.streams -= 1


async def _pour(stream: Stream, send: Send) -> None:
    async with aclosing(stream.parts) as parts:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Routes:
    """Finds a route by method and the parts of a path: one look-up for each set of fixed parts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        for route in routes:
            parts = _parts(route.path)
            same = self._by_length.setdefault(len(parts), [])
            for known, methods in same:
                if known == parts:
                    methods[route.method] = route
                    break
            else:
                same.append((parts, {route.method: route}))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        parts = _parts(path)
        for pattern, methods in self._by_length.get(len(parts), ()):
            names = _match(pattern, parts)
            if names is None:
                continue
            route = methods.get("GET" if method == "HEAD" else method)
            if route is None:
                allowed = ", ".join(sorted(methods))
                raise Rejected(
                    405,
                    Problem(
                        "method-not-allowed",
                        f"{path} cannot be asked to {method}",
                        fix=f"it takes {allowed}",
                    ),
                    {"allow": allowed},
                )
            return route, names
        problem = Problem("no-such-path", f"there is nothing at {path[:200]}", fix=self._near(path))
        raise Rejected(404, problem)

    def _near(self, path: str) -> str:
        known = {"/" + "/".join(parts) for same in self._by_length.values() for parts, _ in same}
        near = get_close_matches(path, known, 1)
        return f"did you mean {near[0]}?" if near else "/openapi.json lists what there is"


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:])


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    names: dict[str, str] = {}
    for expected, part in zip(pattern, parts, strict=True):
        if expected[:1] == "{":
            if not part:
                return None
            names[expected[1:-1]] = unquote(part)
        elif expected != part:
            return None
    return names


def _path(scope: Scope) -> str:
    """As it was sent: a slash inside a name is written %2F, and only there."""
    raw = scope.get("raw_path") or scope["path"].encode()
    text: str = raw.decode("latin-1").partition("?")[0]
    return text


def _headers(scope: Scope) -> dict[str, str]:
    """The last of several with one name counts; of cookies there may be more."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        found[key] = f"{found[key]}; {text}" if key == "cookie" and key in found else text
    return found


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), _header_text(value)) for name, value in headers.items()]


def _header_text(value: str) -> bytes:
    return value.encode("ascii", "backslashreplace").replace(b"\r", b"").replace(b"\n", b"")


async def _send(send: Send, response: Response, *, with_body: bool) -> None:
    headers = {**guard.HEADERS, **response.headers}
    if response.body:
        media = response.media
        headers["content-type"] = f"{media}; charset=utf-8" if media.startswith("text/") else media
    if response.status not in (204, 304):
        headers["content-length"] = str(len(response.body))
    await send({"type": "http.response.start", "status": response.status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": response.body if with_body else b""})
