"""Requests that are malformed, too large, or made by somebody else's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from http_world import ECHO, World, world

from aether.server.http import Limits


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "no JSON"),
        (b'"text"', "Expected `object`"),
        (b'{"documnet": {}}', "did you mean 'document'"),
        (b'{"document": {}, "labels": {"a": 1}}', "labels"),
        (b'{"document": "x", "lenient": "yes"}', "lenient"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_told_where(
    there: World, body: bytes, told: str
) -> None:
    reply = await there.ask("POST", "/runs", body)
    assert reply.status == 400
    assert told in reply.json["detail"] + reply.json.get("fix", "")


async def test_a_body_that_is_too_large_is_refused_before_it_is_held(tmp_path: Path) -> None:
    async with world(tmp_path, Limits(body=1000)) as there:
        reply = await there.ask("POST", "/runs", b" " * 1001)
        assert (reply.status, reply.json["code"]) == (413, "body-too-large")
        declared = await there.ask("POST", "/runs", b"{}", {"content-length": "5000"})
        assert declared.status == 413


@pytest.mark.parametrize("depth", [150, 5_000, 200_000])
async def test_a_body_that_is_too_deep_is_refused(there: World, depth: int) -> None:
    body = b'{"inputs": {"x": ' + b"[" * depth + b"]" * depth + b"}}"
    reply = await there.ask("POST", "/functions/f/runs", body)
    assert (reply.status, reply.json["code"]) == (422, "body-too-deep")


@pytest.mark.parametrize("media", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_what_a_form_can_send_is_refused(there: World, media: str) -> None:
    run_id = await there.submitted()
    reply = await there.ask("POST", f"/runs/{run_id}/cancel", b"", {"content-type": media})
    assert (reply.status, reply.json["code"]) == (415, "wrong-media-type")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_page_of_another_site_can_change_nothing(
    there: World, headers: dict[str, str]
) -> None:
    for method, path in (("POST", "/runs"), ("DELETE", "/runs/x"), ("POST", "/session")):
        reply = await there.ask(method, path, ECHO, headers)
        assert (reply.status, reply.json["code"]) == (403, "wrong-origin")


async def test_a_page_of_this_server_can(there: World) -> None:
    own = {"origin": "http://localhost:7234", "sec-fetch-site": "same-origin"}
    assert (await there.ask("POST", "/runs", ECHO, own)).status == 201


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7234", "localhost.evil.example"])
async def test_a_name_that_was_made_to_point_here_is_refused(there: World, host: str) -> None:
    reply = await there.ask("GET", "/runs", headers={"host": host})
    assert (reply.status, reply.json["code"]) == (421, "wrong-host")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7234", "[::1]:7234", "localhost", "10.1.2.3", "LOCALHOST:1"]
)
async def test_an_address_or_a_name_of_its_own_is_not(there: World, host: str) -> None:
    assert (await there.ask("GET", "/runs", headers={"host": host})).status == 200


async def test_a_name_from_the_configuration_is_its_own(tmp_path: Path) -> None:
    async with world(tmp_path, hosts=["Flows.Example"]) as there:
        assert (await there.ask("GET", "/runs", headers={"host": "flows.example"})).status == 200


async def test_a_header_that_is_no_token_opens_no_other_name(there: World) -> None:
    for header in ("Bearer x", "Bearer aether_000000000000_" + "x" * 43, "Basic eDp4"):
        headers = {"host": "evil.example", "authorization": header}
        assert (await there.ask("GET", "/runs", headers=headers)).json["code"] == "wrong-host"


async def test_a_token_in_a_header_is_good_under_any_name(there: World) -> None:
    ask = there.ask.with_token(there.token("viewer"))
    assert (await ask("GET", "/runs", headers={"host": "aether.internal:7234"})).status == 200


async def test_unknown_paths_methods_and_parameters_name_what_there_is(there: World) -> None:
    path = await there.ask("GET", "/run")
    assert (path.status, path.json["fix"]) == (404, "did you mean /runs?")
    method = await there.ask("PUT", "/runs")
    assert (method.status, method.headers["allow"]) == (405, "GET, POST")
    parameter = await there.ask("GET", "/runs?lable=a=b")
    assert parameter.json["fix"] == "did you mean 'label'?"
    twice = await there.ask("GET", "/runs?name=a&name=b")
    assert twice.status == 400
    for query in (
        "phase=Done",
        "state=ok",
        "since=yesterday",
        "limit=0",
        "limit=x",
        "label=a",
        "order=up",
    ):
        assert (await there.ask("GET", f"/runs?{query}")).json["code"] == "bad-request", query


async def test_a_cursor_that_no_page_gave_is_refused(there: World) -> None:
    assert (await there.ask("GET", "/runs?after=zzz")).json["code"] == "bad-cursor"


async def test_a_fault_of_the_server_is_told_without_its_inside(there: World) -> None:
    async def broken(run_id: str) -> Any:
        raise RuntimeError("the inside")

    there.services.control.get = broken  # type: ignore[method-assign]
    reply = await there.ask("GET", "/runs/x")
    assert (reply.status, reply.json["code"]) == (500, "internal")
    assert b"inside" not in reply.body
    assert any("the inside" in fault.what for fault in there.errors.faults)


async def test_head_is_get_without_a_body(there: World) -> None:
    reply = await there.ask("HEAD", "/runs")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


async def test_every_answer_tells_browsers_what_to_refuse(there: World) -> None:
    for path in ("/runs", "/", "/nothing", "/login"):
        headers = (await there.ask("GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
