"""Whatever is asked, the answer is one of ours: never a fault of the server."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from http_world import world

from aether.server.http import ROUTES

STRANGE: list[Any] = [
    None, True, 0, -1, 2**63, 2**80, 1.5, 1e300, "", "x", "\x00", "😀", "9" * 5000, "../..",
    "%", "2026-13-45", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1h", "-5s", "999999d", [], [[]], [None], {},
    {"": 0}, {"$": "datetime"}, {"$": None, "v": []}, {"a": {"b": [1, {"$": "x"}]}},
]  # fmt: skip
BYTES = [b"", b"\xff", b"null", b'{"a": "\\ud83d"}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"NaN"]
NAMES = ["none", "a b", "é", "x" * 3000, "..", "%00", "r.0", "'; --", "\n"]
ASKED = [route for route in ROUTES if route.media != "text/event-stream"]


def bodies(route: Any) -> list[Any]:
    """The shape with each member strange in turn, around what it needs."""
    if route.body is None:
        return [{}]
    fields = msgspec.structs.fields(route.body)
    needed = {field.encode_name: "x" for field in fields if field.required}
    found: list[Any] = [*STRANGE, needed]
    found += [{**needed, field.encode_name: value} for field in fields for value in STRANGE]
    return [*found, *BYTES]


def queries(route: Any) -> list[str]:
    if route.query is None:
        return [""]
    names = [field.encode_name for field in msgspec.structs.fields(route.query)]
    texts = [value for value in STRANGE if isinstance(value, str)] + ["-1", "1e9", "true", "\xff"]
    return ["", *(f"?{name}={quote(text)}" for name in names for text in texts)]


@pytest.mark.parametrize("route", ASKED, ids=lambda route: route.name)
async def test_no_request_is_a_fault_of_the_server(tmp_path: Path, route: Any) -> None:
    async with world(tmp_path) as there:
        over = await there.submitted(runId="over")
        await there.ask("GET", f"/runs/{over}/result?wait=30s")
        there.services.limits = msgspec.structs.replace(there.services.limits, wait=0.001)
        names = ["over", *NAMES] if "{" in route.path else [""]
        asked = [
            *itertools.product(names, [{}], queries(route)),
            *itertools.product(["over"], bodies(route), [""]),
        ]
        for name, body, query in asked:
            path = route.path
            while "{" in path:
                before, _, rest = path.partition("{")
                path = before + quote(name, safe="") + rest.partition("}")[2]
            reply = await there.ask(route.method, path + query, body)
            assert reply.status != 500, (path, query, body, there.errors.faults[-1:])
            if reply.status >= 400 and route.method != "HEAD":
                assert reply.json["code"], (path, query, body)
