"""Crons, templates, functions, bulk actions, and the server's own affairs over REST."""

from __future__ import annotations

from http_world import CRON, ECHO, TEMPLATE, WAITS, World


async def test_a_cron_is_stored_paused_fired_and_deleted(there: World) -> None:
    made = await there.ask("POST", "/crons", CRON)
    assert made.status == 201
    cron = made.headers["location"]
    assert (await there.ask("GET", cron)).json["nextFireAt"]
    assert (await there.ask("POST", f"{cron}/pause", {})).status == 204
    assert [each["suspended"] for each in (await there.ask("GET", "/crons")).json] == [True]
    assert (await there.ask("POST", f"{cron}/unpause", {})).status == 204
    fired = await there.ask("POST", f"{cron}/trigger", {})
    assert fired.json["runId"]
    assert (await there.ask("GET", f"/runs/{fired.json['runId']}/result?wait=30s")).status == 200
    changed = {**CRON, "spec": {**CRON["spec"], "schedule": "30 4 * * *"}}  # type: ignore[dict-item]
    assert (await there.ask("PUT", cron, changed)).status == 204
    assert (await there.ask("GET", cron)).json["schedule"] == "30 4 * * *"
    assert (await there.ask("DELETE", cron)).status == 204
    assert (await there.ask("GET", cron)).status == 404


async def test_a_time_that_is_past_is_filled_with_fires(there: World) -> None:
    cron = (await there.ask("POST", "/crons", CRON)).headers["location"]
    body = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-03T00:00:00"}
    fires = (await there.ask("POST", f"{cron}/backfill", body)).json
    assert [fire["fireAt"] for fire in fires] == ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]


async def test_a_template_is_stored_listed_used_and_deleted(there: World) -> None:
    assert (await there.ask("POST", "/templates", TEMPLATE)).json == {"reference": "base@1.0"}
    assert (await there.ask("GET", "/templates")).json == {"names": ["base@1.0"]}
    assert (await there.ask("GET", "/templates/base?version=1.0")).json[
        "kind"
    ] == "WorkflowTemplate"
    run_id = await there.submitted("base@1.0")
    assert (await there.ask("GET", f"/runs/{run_id}/result?wait=30s")).json["status"] == "Succeeded"
    assert (await there.ask("DELETE", "/templates/base")).json == {"deleted": 1}
    assert (await there.ask("DELETE", "/templates/base")).json["code"] == "template-not-found"


async def test_a_function_that_nobody_serves_is_started_and_says_so(there: World) -> None:
    body = {"inputs": {"order": {"$": "not a tag"}}, "runId": "o-1", "labels": {"team": "a"}}
    started = await there.ask("POST", "/functions/order/runs", body)
    assert (started.status, started.json) == (201, {"runId": "o-1"})
    again = await there.ask("POST", "/functions/order/runs", body)
    assert again.json == {"runId": "o-1"}
    other = await there.ask("POST", "/functions/order/runs", {**body, "inputs": {"order": 2}})
    assert (other.status, other.json["code"]) == (409, "id-conflict")
    waits = (await there.ask("GET", "/runs/o-1/result?wait=1ms")).json["waitingFor"]
    assert waits
    assert (await there.ask("POST", "/runs/o-1/signals/go", {"payload": {"n": 1}})).status == 204
    late = await there.ask("POST", "/runs/o-1/updates/add", {"args": [1], "timeout": "1ms"})
    assert (late.status, late.json["code"]) == (504, "update-timeout")
    nobody = await there.ask("POST", "/runs/o-1/queries/total", {})
    assert (nobody.status, nobody.json["code"]) == (501, "no-queries")


async def test_a_start_with_a_delay_that_is_none_is_refused(there: World) -> None:
    reply = await there.ask("POST", "/functions/order/runs", {"delay": "soon"})
    assert (reply.status, reply.json["code"]) == (400, "bad-request")


async def test_a_bulk_action_cancels_what_the_filter_finds_and_reports_the_rest(
    there: World,
) -> None:
    over = await there.submitted()
    await there.ask("GET", f"/runs/{over}/result?wait=30s")
    for _ in range(20):
        await there.submitted(WAITS)
    body = {"action": "cancel", "all": True}
    started = await there.ask("POST", "/bulk?wait=30s", body)
    assert started.status == 202
    job = (await there.ask("GET", f"{started.headers['location']}?wait=30s")).json
    assert (job["state"], job["total"], job["done"], job["failed"]) == ("done", 21, 20, 1)
    assert [each["runId"] for each in job["failures"]] == [over]
    assert job["failures"][0]["problem"]["code"] == "run-over"


async def test_a_bulk_action_on_everything_has_to_be_meant(there: World) -> None:
    reply = await there.ask("POST", "/bulk", {"action": "cancel"})
    assert (reply.status, reply.json["code"]) == (400, "bad-request")


async def test_a_dry_run_only_counts(there: World) -> None:
    await there.submitted(WAITS)
    body = {"action": "cancel", "filter": {"name": "approval"}, "dryRun": True}
    job = (await there.ask("POST", "/bulk?wait=30s", body)).json
    assert (job["total"], job["done"]) == (1, 0)
    assert len((await there.ask("GET", "/runs?unfinished=true")).json["runs"]) == 1


async def test_many_runs_are_forked_and_each_fork_is_named(there: World) -> None:
    ids = [await there.submitted() for _ in range(2)]
    for run_id in ids:
        await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    body = {"action": "fork", "filter": {"name": "hello"}, "fork": {"fromTask": "greet"}}
    job = (await there.ask("POST", "/bulk?wait=30s", body)).json
    assert sorted(job["made"]) == sorted(ids)


async def test_workers_and_queues_are_shown(there: World) -> None:
    workers = (await there.ask("GET", "/workers")).json
    assert [worker["worker_id"] for worker in workers] == ["local"]
    queues = {queue["executorType"]: queue for queue in (await there.ask("GET", "/queues")).json}
    assert (queues["echo"]["workers"], queues["echo"]["depth"]) == (1, 0)


async def test_the_api_describes_itself(there: World) -> None:
    document = (await there.ask("GET", "/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    assert "/runs/{run}/result" in document["paths"]
    assert ECHO
