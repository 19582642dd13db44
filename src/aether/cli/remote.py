"""A server as the command line asks it: `--server URL`, with the token from AETHER_TOKEN.

In: calls of its REST interface. Out: answers, and its problems as problems here. Never: a database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, build_opener

import click
import msgspec

from ..errors import NOWHERE, NotFound, Problem, Refused, Where
from ..ports import Execution
from .failures import Denied, Unreachable

TOKEN = "AETHER_TOKEN"  # noqa: S105 - the name of a variable
SERVER = "AETHER_SERVER"
DEFAULT = "http://127.0.0.1:7234"
_PATIENCE = 90.0  # seconds; longer than a server lets anybody wait


def server_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--server`, as `server`: "" to look into a database instead."""
    return click.option(
        "--server", default="", metavar="URL", help="Ask this server, and no database."
    )(function)


class Remote:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Refused(
                Problem(
                    "bad-argument",
                    f"`--server {url}` is no address of a server",
                    fix=f"write --server {DEFAULT}",
                )
            )
        self._url = url.rstrip("/")
        self._opener = build_opener()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of the answer. Raises NotFound, Refused, Denied and Unreachable."""
        asked = f"{self._url}{path}"
        if query:
            asked += "?" + urlencode({k: v for k, v in query.items() if v}, doseq=True)
        data = None if method == "GET" else msgspec.json.encode({} if body is None else body)
        request = Request(asked, data, method=method)  # noqa: S310 - its scheme was looked at
        request.add_header("content-type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if token := os.environ.get(TOKEN, ""):
            request.add_header("authorization", f"Bearer {token}")
        try:
            with self._opener.open(request, timeout=_PATIENCE) as answer:
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            with error:
                _refuse(error.code, error.read())
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(
                Problem(
                    "server-unreachable",
                    f"{self._url} does not answer: {reason}",
                    fix="start it with `aether serve`, or give the address of another: --server URL",
                )
            ) from error

    def find(self, text: str) -> str:
        """The id of the run that `text` means: an id, the beginning of one, or `last`."""
        if text != "last":
            try:
                self.call("GET", f"/runs/{quote(text, safe='')}/result")
                return text
            except NotFound:
                pass
        query = {"limit": 2} if text == "last" else {"limit": 2, "idPrefix": text}
        runs = msgspec.json.decode(self.call("GET", "/runs", query=query))["runs"]
        if not runs:
            what = "there is no run yet" if text == "last" else f"there is no run '{text}'"
            raise NotFound(Problem("run-not-found", what, fix="find its id with `aether list`"))
        if len(runs) > 1 and text != "last":
            ids = ", ".join(run["runId"] for run in runs)
            what = f"several ids begin with '{text}': {ids}, …"
            raise Refused(Problem("ambiguous-run", what, fix="give more of the id"))
        run_id: str = runs[0]["runId"]
        return run_id

    def get(self, run_id: str) -> Execution:
        return msgspec.json.decode(self.call("GET", path_of(run_id)), type=Execution)

    def steer(self, run: str, action: str, body: Any = None) -> str:
        """The id of the run."""
        run_id = self.find(run)
        self.call("POST", f"{path_of(run_id)}/{action}", body)
        return run_id


def path_of(run_id: str) -> str:
    return f"/runs/{quote(run_id, safe='')}"


class _Told(msgspec.Struct):
    """What a problem says, one of possibly several."""

    code: str
    detail: str = ""
    what: str = ""
    fix: str = ""
    where: Where = NOWHERE
    problems: list[_Told] = []

    def problem(self) -> Problem:
        return Problem(self.code, self.what or self.detail, self.where, self.fix)


def _refuse(status: int, body: bytes) -> NoReturn:
    try:
        told = msgspec.json.decode(body, type=_Told)
    except msgspec.MsgspecError:
        what = f"the server answered {status}, and not as Aether does"
        raise Refused(
            Problem("bad-answer", what, fix="give the address that `aether serve` prints")
        ) from None
    problems = [each.problem() for each in told.problems] or [told.problem()]
    if status == 404:
        raise NotFound(problems)
    if status in (401, 403):
        raise Denied(problems)
    raise Refused(problems)
