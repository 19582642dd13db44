"""Runs over REST: submit, look, wait, steer."""

from __future__ import annotations

import asyncio

from http_world import ECHO, WAITS, World

YAML = b"""
apiVersion: aether/v1
kind: Workflow
metadata: {name: from-yaml, labels: {team: a}}
spec:
  entrypoint: one
  templates: [{task: {name: one, executor: {type: echo}}}]
"""


async def test_a_submitted_document_runs_and_its_result_can_be_waited_for(there: World) -> None:
    run_id = await there.submitted(arguments={"who": "Ada"}, labels={"team": "b"})
    reply = await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    assert reply.status == 200
    assert reply.json["status"] == "Succeeded"
    assert reply.json["outputs"] == [{"name": "text", "type": "", "value": "Hello Ada"}]
    listed = (await there.ask("GET", "/runs?label=team=b")).json["runs"]
    assert [run["runId"] for run in listed] == [run_id]


async def test_a_body_that_is_a_document_itself_needs_nothing_around_it(there: World) -> None:
    as_json = await there.ask("POST", "/runs", ECHO)
    as_yaml = await there.ask("POST", "/runs", YAML, {"content-type": "application/yaml"})
    assert (as_json.status, as_yaml.status) == (201, 201)
    run = (await there.ask("GET", as_yaml.headers["location"])).json
    assert run["name"] == "from-yaml"


async def test_a_bad_document_is_refused_with_every_problem_and_its_line(there: World) -> None:
    text = YAML.replace(b"entrypoint: one", b"entrypoint: two\n  wrong: 1")
    reply = await there.ask("POST", "/runs", text, {"content-type": "application/yaml"})
    assert reply.status == 422
    assert reply.headers["content-type"] == "application/problem+json"
    problems = reply.json["problems"]
    assert len(problems) == 2
    assert all(problem["where"]["line"] for problem in problems)
    assert reply.json["type"] == f"urn:aether:problem:{problems[0]['code']}"


async def test_a_result_that_does_not_come_in_time_says_why_it_waits(there: World) -> None:
    run_id, _ = await there.suspended()
    reply = await there.ask("GET", f"/runs/{run_id}/result?wait=10ms")
    assert reply.status == 202
    assert "waiting for a resume" in reply.json["waitingFor"][0]


async def test_a_waiting_request_is_answered_when_the_server_is_about_to_end(there: World) -> None:
    run_id, _ = await there.suspended()
    waiting = asyncio.ensure_future(there.ask("GET", f"/runs/{run_id}/result?wait=60s"))
    await asyncio.sleep(0)
    there.services.draining.set()
    assert (await waiting).status == 202


async def test_new_work_is_refused_while_the_server_drains(there: World) -> None:
    there.services.draining.set()
    reply = await there.ask("POST", "/runs", ECHO)
    assert (reply.status, reply.json["code"]) == (503, "draining")
    assert reply.headers["retry-after"]
    assert (await there.ask("GET", "/readyz")).status == 503
    assert (await there.ask("GET", "/healthz")).status == 200


async def test_a_suspended_task_is_resumed_and_a_second_resume_refused(there: World) -> None:
    run_id, task = await there.suspended()
    body = {"taskRunId": task, "payload": {"approved": True}}
    assert (await there.ask("POST", f"/runs/{run_id}/resume", body)).status == 204
    assert (await there.ask("GET", f"/runs/{run_id}/result?wait=30s")).json["status"] == "Succeeded"
    again = await there.ask("POST", f"/runs/{run_id}/resume", body)
    assert again.status == 409


async def test_a_run_is_paused_unpaused_and_cancelled(there: World) -> None:
    run_id, _ = await there.suspended()
    assert (await there.ask("POST", f"/runs/{run_id}/pause", {})).status == 204
    assert (await there.ask("GET", f"/runs/{run_id}")).json["pausedAt"]
    assert (await there.ask("POST", f"/runs/{run_id}/unpause", {})).status == 204
    assert (await there.ask("GET", f"/runs/{run_id}")).json["pausedAt"] is None
    assert (await there.ask("POST", f"/runs/{run_id}/cancel", {})).status == 204
    assert (await there.ask("GET", f"/runs/{run_id}/result?wait=30s")).json["status"] == "Cancelled"
    assert (await there.ask("POST", f"/runs/{run_id}/cancel", {})).status == 409


async def test_a_run_is_looked_at_as_it_stood_and_its_log_is_told(there: World) -> None:
    run_id = await there.submitted()
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    first = (await there.ask("GET", f"/runs/{run_id}?seq=1")).json
    assert first["status"] == "Ready"
    steps = (await there.ask("GET", f"/runs/{run_id}/log?after=1")).json
    assert [step["seq"] for step in steps] == [2]
    differs = (await there.ask("GET", f"/runs/{run_id}/diff?at=1")).json
    assert any(change["what"] == "status" for change in differs["run"])
    assert b"greet" in (await there.ask("GET", f"/runs/{run_id}/document")).body


async def test_a_run_is_forked_retried_and_deleted(there: World) -> None:
    run_id = await there.submitted()
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    fork = await there.ask(
        "POST", f"/runs/{run_id}/fork", {"fromTask": "greet", "set": {"who": "Eve"}}
    )
    assert fork.status == 201
    made = fork.json["runId"]
    reply = await there.ask("GET", f"/runs/{made}/result?wait=30s")
    assert reply.json["outputs"][0]["value"] == "Hello Eve"
    nothing = await there.ask("POST", f"/runs/{run_id}/retry", {})
    assert nothing.json["code"] == "nothing-to-retry"
    assert (await there.ask("DELETE", f"/runs/{made}")).status == 204
    assert (await there.ask("GET", f"/runs/{made}")).status == 404


async def test_the_list_goes_page_by_page_and_says_why_runs_wait(there: World) -> None:
    for _ in range(3):
        await there.submitted(WAITS)
    first = (await there.ask("GET", "/runs?limit=2&waiting=true")).json
    assert len(first["runs"]) == 2
    assert all(run["waitingFor"] for run in first["runs"])
    rest = (await there.ask("GET", f"/runs?limit=2&after={first['cursor']}")).json
    assert len(rest["runs"]) == 1
    assert rest["cursor"] == ""


async def test_states_of_code_are_filters_too(there: World) -> None:
    run_id = await there.submitted()
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    await there.suspended()
    done = (await there.ask("GET", "/runs?state=completed")).json["runs"]
    assert [run["runId"] for run in done] == [run_id]
    assert len((await there.ask("GET", "/runs?unfinished=true")).json["runs"]) == 1
    assert (await there.ask("GET", "/runs?phase=Running&phase=Succeeded&since=1h")).status == 200


async def test_an_answer_that_has_not_changed_is_not_sent_again(there: World) -> None:
    run_id = await there.submitted()
    await there.ask("GET", f"/runs/{run_id}/result?wait=30s")
    first = await there.ask("GET", f"/runs/{run_id}")
    second = await there.ask(
        "GET", f"/runs/{run_id}", headers={"if-none-match": first.headers["etag"]}
    )
    assert (second.status, second.body) == (304, b"")


async def test_a_submit_with_a_key_makes_one_run_however_often_it_is_sent(there: World) -> None:
    key = {"idempotency-key": "order-17"}
    first = await there.ask("POST", "/runs", {"document": WAITS}, key)
    second = await there.ask("POST", "/runs", {"document": WAITS}, key)
    assert (first.status, second.status) == (201, 200)
    assert first.json == second.json
    other = await there.ask("POST", "/runs", {"document": ECHO}, key)
    assert (other.status, other.json["code"]) == (409, "idempotency-conflict")
    assert len((await there.ask("GET", "/runs")).json["runs"]) == 1


async def test_two_submits_with_one_key_at_the_same_time_make_one_run(there: World) -> None:
    key = {"idempotency-key": "order-18"}
    replies = await asyncio.gather(
        *(there.ask("POST", "/runs", {"document": WAITS}, key) for _ in range(5))
    )
    assert sorted(reply.status for reply in replies) == [200] * 4 + [201]
    assert len({reply.json["runId"] for reply in replies}) == 1


async def test_an_id_that_is_taken_is_a_conflict(there: World) -> None:
    await there.submitted(runId="mine")
    reply = await there.ask("POST", "/runs", {"document": ECHO, "runId": "mine"})
    assert (reply.status, reply.json["code"]) == (409, "run-exists")


async def test_an_id_with_a_slash_is_found_by_its_encoded_form(there: World) -> None:
    await there.submitted(runId="a/b c")
    assert (await there.ask("GET", "/runs/a%2Fb%20c")).json["runId"] == "a/b c"
