"""What keeps other people's web pages out, and what browsers are told to refuse.

A page of another site can make a browser send requests here. It can neither set their content type to JSON nor
read an answer without being allowed, and nobody is: there is no CORS header. Beyond that a request that changes
something is refused when it says that it comes from elsewhere, and every request that uses a name for this
server which is not its own: a name that was made to point here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from ipaddress import ip_address
from typing import Any

from ...errors import Problem
from .messages import Rejected

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def check_host(headers: dict[str, str], names: frozenset[str]) -> None:
    """An address cannot be made to point here; a name can, so it must be one of ours."""
    host = _name(headers.get("host", ""))
    if not host or host in names or host == "localhost":
        return
    if not _is_address(host):
        raise Rejected(
            421,
            Problem(
                "wrong-host",
                f"this server is not known as '{host[:100]}'",
                fix="use its address, or name it in the configuration: [security] hosts",
            ),
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def check_origin(headers: dict[str, str]) -> None:
    origin = headers.get("origin", "")
    site = headers.get("sec-fetch-site", "same-origin")
    same = not origin or origin.partition("://")[2].lower() == headers.get("host", "").lower()
    if not same or site not in ("same-origin", "none"):
        raise Rejected(
            403,
            Problem(
                "wrong-origin",
                "the request was made by a page of another site",
                fix="send it from a page of this server, or from no page",
            ),
        )


def _name(host: str) -> str:
    """Without its port, and without the brackets of an address."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


async def until_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` until it is done or the caller hangs up."""

    async def hung_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(hung_up())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
