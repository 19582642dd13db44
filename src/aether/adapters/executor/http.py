"""http: one HTTP request. Needs the extra `http` (aiohttp), which is imported at the first request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import Problem, Refused
from ...ports import ERROR, FAILED, Field, Outcome, Request, Schema
from ...record import NamedValue
from ..extra_inputs import strangers

if TYPE_CHECKING:
    import aiohttp

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_INPUTS = ("url", "method", "headers", "body", "json", "expect-status", "timeout")
_CHUNK = 1 << 16


class HttpExecutor:
    """Inputs: `url`, `method` (GET), `headers`, `body` (text) or `json`, `expect-status` (a status or a
    list of them; otherwise anything below 400), `timeout` in seconds. Outputs: `status`, `headers`
    (names in small letters), `body`, and `json` if the body is JSON.

    An unexpected status is Failed with its outputs, but from 500 on an ERROR; so are a connection that
    fails and a body beyond `most_bytes`; no answer within the time limit is Timeout. Only http and
    https are spoken. Redirects are followed by GET and HEAD alone. Each request
    has a connection of its own, and no cookies are kept: there is nothing to close.
    """

    def __init__(
        self,
        type: str = "http",  # noqa: A002 - the protocol's own word
        *,
        most_bytes: int = 4 << 20,
        most_time: timedelta = timedelta(seconds=60),
    ) -> None:
        self._most_bytes = most_bytes
        self._most_time = most_time
        self._schema = Schema(
            type=type,
            description="Makes one HTTP request",
            inputs=(
                Field("url", "string", True, "where to, with http:// or https://"),
                Field("method", "string", False, "GET unless given"),
                Field("headers", "object", False, "header names and texts"),
                Field("body", "string", False, "the text to send"),
                Field("json", "any", False, "the value to send as JSON, instead of a body"),
                Field(
                    "expect-status", "any", False, "the status, or a list of those, that is success"
                ),
                Field("timeout", "float", False, "seconds; 60 unless given"),
            ),
            outputs=(
                Field("status", "int"),
                Field("headers", "object"),
                Field("body", "string"),
                Field("json", "any"),
            ),
        )

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome:
        inputs = request.inputs
        arguments, expected = _read(inputs)
        aiohttp = _library()
        seconds = _seconds(inputs.get("timeout"), request.timeout, self._most_time)
        url = arguments["url"]
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=seconds),
                    cookie_jar=aiohttp.DummyCookieJar(),
                ) as session,
                session.request(**arguments) as response,
            ):
                body = await self._body(response)
                if body is None:
                    return Outcome.error(
                        f"the answer of {_shown(url)} is longer than {self._most_bytes} bytes",
                        "http-size",
                    )
                return _outcome(response, body, expected, _shown(url))
        except TimeoutError:
            return Outcome.timeout(f"no answer from {_shown(url)} within {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = str(error) or type(error).__name__
            return Outcome.error(f"the request to {_shown(url)} failed: {text}", "http-connection")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > self._most_bytes:
                return None
            parts.append(chunk)
        return b"".join(parts)


def _library() -> Any:
    try:
        import aiohttp
    except ImportError as error:
        raise Refused(
            Problem(
                "extra-missing",
                "the http executor needs aiohttp, which is not installed",
                fix="pip install 'aether-workflows[http]'",
            )
        ) from error
    return aiohttp


def _outcome(
    response: aiohttp.ClientResponse, body: bytes, expected: frozenset[int], url: str
) -> Outcome:
    try:
        text = body.decode(response.get_encoding(), "replace")
    except (LookupError, RuntimeError):  # a charset nobody knows
        text = body.decode("utf-8", "replace")
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    status = response.status
    values = [
        NamedValue("status", "int", status),
        NamedValue("headers", "object", headers),
        NamedValue("body", "string", text),
    ]
    with suppress(ValueError, RecursionError):  # not JSON: then there is no such output
        values.append(NamedValue("json", "any", json.loads(text, parse_constant=_no_constant)))
    if status in expected if expected else status < 400:
        return Outcome(parameters=values)
    wanted = f", expected {', '.join(map(str, sorted(expected)))}" if expected else ""
    code = ERROR if status >= 500 else FAILED
    return Outcome(code, f"{url} answered {status}{wanted}", values, error_type=f"http-{status}")


def _read(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[int]]:
    """(arguments for the library, the statuses that are success). Raises Refused `bad-arguments`."""
    if unknown := strangers(inputs, _INPUTS):
        raise _bad(f"unexpected inputs: {', '.join(unknown)}")
    url = inputs.get("url")
    if not isinstance(url, str) or not _is_address(url):
        raise _bad("`url` must begin with http:// or https:// and name a host")
    method = inputs.get("method") or "GET"
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise _bad(f"`method` must be one of {', '.join(_METHODS)}")
    headers = inputs.get("headers") or {}
    if not isinstance(headers, dict) or not all(map(_is_line, (*headers, *headers.values()))):
        raise _bad("`headers` must map names to texts of one line each")
    arguments: dict[str, Any] = {
        "url": url,
        "method": method.upper(),
        "headers": headers,
        "allow_redirects": method.upper() in ("GET", "HEAD"),
    }
    body, value = inputs.get("body"), inputs.get("json")
    if body is not None and value is not None:
        raise _bad("`body` and `json` exclude each other")
    if body is not None and not isinstance(body, str):
        raise _bad("`body` must be text; a value goes into `json`")
    if body is not None:
        arguments["data"] = body.encode("utf-8", "replace")
    if value is not None:
        arguments["json"] = value
    expected = inputs.get("expect-status")
    statuses = expected if isinstance(expected, list) else [] if expected is None else [expected]
    if not all(type(status) is int and 100 <= status <= 599 for status in statuses):
        raise _bad("`expect-status` must be a status from 100 to 599, or a list of them")
    return arguments, frozenset(statuses)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_line(value: object) -> bool:
    return isinstance(value, str) and not any(sign in value for sign in "\r\n\0")


def _seconds(wanted: object, limit: timedelta | None, usual: timedelta) -> float:
    seconds = usual.total_seconds()
    if wanted is not None:
        if not isinstance(wanted, int | float) or isinstance(wanted, bool) or not wanted > 0:
            raise _bad("`timeout` must be a number of seconds above 0")
        seconds = float(wanted)
    return seconds if limit is None else min(seconds, limit.total_seconds())


def _shown(url: str) -> str:
    """The address without user, password and query: they may be secrets, and this goes into messages."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _bad(what: str) -> Refused:
    return Refused(Problem("bad-arguments", what, fix=f"its inputs are {', '.join(_INPUTS)}"))
