"""Who may do what: every route, with no token, a wrong one, and one of each role."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from http_world import ECHO, Client, World

from aether.adapters.chance import SystemChance
from aether.errors import NotFound, Refused
from aether.server.http import ROLES, ROUTES
from aether.server.tokens import Tokens

# What each right is for, written down once more: a route that moves to another right shows here.
POLICY: dict[str, str] = {
    "submitRun": "write", "listRuns": "look", "getRun": "look", "deleteRun": "manage",
    "getRunResult": "look", "getRunDocument": "values", "cancelRun": "steer", "pauseRun": "steer",
    "unpauseRun": "steer", "resumeTask": "steer", "forkRun": "write", "retryRun": "write",
    "getRunLog": "look", "diffRuns": "values", "followRun": "look", "followRuns": "look",
    "startFunction": "write", "signalRun": "steer", "updateRun": "steer", "queryRun": "values",
    "submitCron": "write", "listCrons": "look", "getCron": "look", "updateCron": "write",
    "deleteCron": "manage", "pauseCron": "steer", "unpauseCron": "steer", "triggerCron": "steer",
    "backfillCron": "steer", "storeTemplate": "write", "listTemplates": "look",
    "getTemplate": "look", "deleteTemplate": "manage", "startBulk": "steer", "listBulk": "steer",
    "getBulk": "steer", "listWorkers": "look", "listQueues": "look", "whoAmI": "look",
    "health": "open", "readiness": "open", "openapi": "open", "runsPage": "look",
    "runPage": "look", "runReport": "values", "loginPage": "open", "login": "open",
    "logout": "open", "asset": "open",
}  # fmt: skip
ALLOWED = {
    "viewer": {"open", "look"},
    "operator": {"open", "look", "steer"},
    "developer": {"open", "look", "values", "steer", "write"},
    "worker": {"open", "look", "work"},
    "admin": {"open", "look", "values", "steer", "write", "manage", "work"},
}


def test_every_route_has_the_right_that_the_policy_names() -> None:
    assert {route.name: route.needs for route in ROUTES} == POLICY


def test_every_role_has_the_rights_that_the_policy_names() -> None:
    assert {role: set(rights) for role, rights in ROLES.items()} == ALLOWED


def path_of(route: Any) -> str:
    path: str = route.path
    for name in ("run", "cron", "template", "bulk", "name", "file"):
        path = path.replace("{" + name + "}", "none")
    return path


async def status(ask: Client, route: Any) -> int:
    """Of a request that is refused for nothing but its credentials, or is not found."""
    if route.media == "text/event-stream":
        async with ask.stream(path_of(route)) as listening:
            while not listening.status:
                await listening.parts.get()
            return listening.status
    return (await ask(route.method, path_of(route), {})).status


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_only_those_who_may_get_through(there: World, route: Any) -> None:
    tokens = {role: there.token(role) for role in ROLES}
    refused = 303 if route.media == "text/html" else 401
    expected = {role: route.needs in ALLOWED[role] for role in ROLES}
    for ask in (there.ask, there.ask.with_token("aether_000000000000_" + "x" * 43)):
        got = await status(ask, route)
        if route.needs == "open" and ask is there.ask:
            assert got not in (401, 403)
        else:
            assert got in (refused, 401), (route.name, got)
    for role, token in tokens.items():
        got = await status(there.ask.with_token(token), route)
        assert (got not in (401, 403)) == expected[role], (route.name, role, got)


async def test_without_any_token_everybody_on_this_machine_may_do_everything(there: World) -> None:
    assert (await there.ask("GET", "/me")).json["rights"] == sorted(ALLOWED["admin"] - {"open"})
    assert (await there.ask("POST", "/runs", ECHO)).status == 201


async def test_a_token_closes_the_door_at_once_and_its_revocation_does_not_open_it(
    there: World,
) -> None:
    token = there.token("admin", "root")
    assert (await there.ask("GET", "/runs")).status == 401
    assert (await there.ask.with_token(token)("GET", "/runs")).status == 200
    Tokens(there.tokens.path).revoke("root", there.services.clock.now())  # by another process
    reply = await there.ask.with_token(token)("GET", "/runs")
    assert (reply.status, reply.json["code"]) == (401, "bad-credentials")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_token_that_is_past_its_end_opens_nothing(there: World) -> None:
    token = there.token("admin", expires_at=there.services.clock.now() - 1)
    assert (await there.ask.with_token(token)("GET", "/runs")).status == 401


async def test_values_are_hidden_from_those_who_may_not_read_them(there: World) -> None:
    run_id = await there.submitted(arguments={"who": "secret"})
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    viewer = there.ask.with_token(there.token("viewer"))
    for path in (
        f"/runs/{run_id}",
        f"/runs/{run_id}/result",
        f"/runs/{run_id}/log",
        f"/pages/runs/{run_id}",
    ):
        reply = await viewer("GET", path)
        assert reply.status == 200
        assert b"Hello" not in reply.body
        assert b"secret" not in reply.body
    assert (await viewer("GET", f"/runs/{run_id}")).json["outputs"][0]["value"] == "***"
    reader = there.ask.with_token(there.token("viewer", "reader", values=True))
    assert b"Hello secret" in (await reader("GET", f"/runs/{run_id}")).body


async def test_a_token_for_a_namespace_sees_and_touches_nothing_else(there: World) -> None:
    theirs = await there.submitted({**ECHO, "metadata": {"name": "theirs", "namespace": "b"}})
    both = there.ask.with_token(there.token("admin", "both", namespaces=("a", "c")))
    ask = there.ask.with_token(there.token("admin", "a", namespaces=("a",)))
    mine = await ask("POST", "/runs", {**ECHO, "metadata": {"name": "mine", "namespace": "a"}})
    assert mine.status == 201
    for client in (ask, both):
        listed = (await client("GET", "/runs")).json["runs"]
        assert [run["namespace"] for run in listed] == ["a"]
        assert (await client("GET", "/runs?namespace=b")).json["runs"] == []
        for route in ROUTES:
            if "{run}" in route.path:
                path = path_of(route).replace("none", theirs, 1)
                body = {"taskRunId": f"{theirs}.0"} if route.name == "resumeTask" else {}
                reply = await client(route.method, path, body)
                assert (reply.status, reply.json["code"]) == (404, "run-not-found"), route.name
        other = await client("GET", f"/runs/{mine.json['runId']}/diff?with={theirs}")
        assert other.status == 404
        put = await client("POST", "/runs", {**ECHO, "metadata": {"name": "x", "namespace": "b"}})
        assert (put.status, put.json["code"]) == (403, "not-permitted")
        assert (await client("POST", "/runs", ECHO)).status == 403  # that would be `default`
        assert (await client("POST", "/functions/f/runs", {})).status == 403  # likewise
        assert (await client("GET", "/crons")).status == 403
        job = await client(
            "POST", "/bulk?wait=10s", {"action": "delete", "all": True, "dryRun": True}
        )
        assert job.json["total"] == 1


async def test_bulk_deletes_and_retries_need_the_right_of_the_single_call(there: World) -> None:
    operator = there.ask.with_token(there.token("operator"))
    for action, status in (("delete", 403), ("retry", 403), ("fork", 403), ("cancel", 202)):
        reply = await operator("POST", "/bulk", {"action": action, "all": True})
        assert reply.status == status, action


async def test_a_bulk_action_belongs_to_the_token_that_began_it(there: World) -> None:
    one, two = (there.ask.with_token(there.token("operator", name)) for name in ("one", "two"))
    path = (await one("POST", "/bulk", {"action": "cancel", "all": True})).headers["location"]
    assert (await one("GET", path)).status == 200
    assert (await two("GET", path)).status == 404
    assert (await two("GET", "/bulk")).json == []


async def test_a_browser_gives_its_token_once_and_keeps_it_in_a_cookie(there: World) -> None:
    token = there.token("viewer")
    page = await there.ask("GET", "/")
    assert (page.status, page.headers["location"]) == (303, "/login")
    assert (await there.ask("GET", "/login")).status == 200
    assert (await there.ask("POST", "/session", {"token": "wrong"})).status == 401
    reply = await there.ask("POST", "/session", {"token": token})
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    kept = {"cookie": f"other=1; {cookie.partition(';')[0]}"}
    assert (await there.ask("GET", "/", headers=kept)).status == 200
    left = (await there.ask("DELETE", "/session", headers=kept)).headers["set-cookie"]
    assert "Max-Age=0" in left


async def test_a_cancel_is_recorded_under_the_name_of_the_token(there: World) -> None:
    run_id, _ = await there.suspended()
    ada = there.ask.with_token(there.token("operator", "ada"))
    assert (await ada("POST", f"/runs/{run_id}/cancel", {})).status == 204
    assert "ada" in str((await ada("GET", f"/runs/{run_id}/log")).json)


async def test_what_changes_something_is_written_to_the_audit_log(
    there: World, caplog: pytest.LogCaptureFixture
) -> None:
    ada = there.ask.with_token(there.token("viewer", "ada"))
    with caplog.at_level("INFO", "aether.audit"):
        await ada("GET", "/runs")
        await ada("POST", "/runs", ECHO)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("ada (")
    assert "POST /runs" in line


class TestTokens:
    def test_the_file_holds_hashes_and_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        tokens = Tokens(tmp_path / "t.json")
        _, text = tokens.create(SystemChance(), name="a", role="admin", now=1)
        assert text.rpartition("_")[2] not in tokens.path.read_text("utf-8")
        if os.name == "posix":
            assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600

    def test_a_token_is_known_by_its_text_alone(self, tmp_path: Path) -> None:
        tokens = Tokens(tmp_path / "t.json")
        token, text = tokens.create(SystemChance(), name="a", role="viewer", now=1)
        assert tokens.check(text, 2) == token
        for wrong in (
            "",
            text[:-1],
            text + "x",
            text.replace(token.token_id, "0" * 12),
            token.token_id,
        ):
            assert tokens.check(wrong, 2) is None

    def test_it_is_good_until_its_end(self, tmp_path: Path) -> None:
        day = int(timedelta(days=1) / timedelta(microseconds=1))
        tokens = Tokens(tmp_path / "t.json")
        _, text = tokens.create(SystemChance(), name="a", role="viewer", now=0, expires_at=day)
        assert tokens.check(text, day - 1)
        assert not tokens.check(text, day)

    def test_names_that_several_have_are_not_enough_to_revoke(self, tmp_path: Path) -> None:
        tokens = Tokens(tmp_path / "t.json")
        first, _ = tokens.create(SystemChance(), name="a", role="viewer", now=0)
        tokens.create(SystemChance(), name="a", role="viewer", now=0)
        with pytest.raises(Refused) as refused:
            tokens.revoke("a", 1)
        assert refused.value.code == "ambiguous-token"
        assert tokens.revoke(first.token_id, 1).revoked_at == 1
        assert tokens.revoke("a", 1).token_id != first.token_id
        with pytest.raises(NotFound):
            tokens.revoke("b", 1)

    def test_a_file_that_cannot_be_read_lets_nobody_in(self, tmp_path: Path) -> None:
        tokens = Tokens(tmp_path / "t.json")
        _, text = tokens.create(SystemChance(), name="a", role="viewer", now=0)
        tokens.path.write_text("{", "utf-8")
        with pytest.raises(Refused) as refused:
            tokens.check(text, 1)
        assert refused.value.code == "bad-token-file"
