"""What each executor does with its inputs."""

import asyncio
import contextvars
import logging
import os
import select
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from aether.adapters.executor import (
    AwaitExecutor,
    EchoExecutor,
    FunctionExecutor,
    HttpExecutor,
    ShellExecutor,
    ThreadPool,
)
from aether.errors import Refused
from aether.ports import Outcome, Request
from aether.record import NamedValue
from aether.worker import judge_exception


def request(*values, _retry_count=0, _limit=None, **inputs):
    parameters = [*values, *(NamedValue(name, "", value) for name, value in inputs.items())]
    return Request(
        run_id="run",
        task_run_id="run.1",
        task_name="t",
        executor_type="x",
        parameters=parameters,
        inputs={value.name: value.value for value in parameters},
        retry_count=_retry_count,
        timeout=_limit,
    )


async def run(executor, *values, **inputs):
    """The outcome, as the worker would report it."""
    try:
        answer = await executor.execute(request(*values, **inputs))
    except Refused as refused:
        return judge_exception(refused).outcome
    return answer


def outputs(answer):
    if isinstance(answer, Outcome):
        return {value.name: value.value for value in answer.parameters}
    return answer


# -- echo


async def echoed(*values, **inputs):
    return await run(EchoExecutor(), *values, **inputs)


async def test_echo_gives_inputs_back_with_name_type_and_value():
    answer = await echoed(NamedValue("a", "int", 1), NamedValue("b", "object", {"c": []}))
    assert answer.code == 0
    assert answer.parameters == [NamedValue("a", "int", 1), NamedValue("b", "object", {"c": []})]


async def test_echo_adds_outputs_with_values_and_zero_values():
    wanted = [
        {"name": "i", "type": "int"},
        {"name": "b", "type": "bool"},
        {"name": "s", "type": "string"},
        {"name": "l", "type": "array"},
        {"name": "o", "type": "object"},
        {"name": "v", "type": "int", "value": 7},
        {"name": "n", "type": "int", "value": None},
    ]
    answer = await echoed(outputs=wanted)
    assert outputs(answer) == {"i": 0, "b": False, "s": "", "l": [], "o": {}, "v": 7, "n": 0}


async def test_echo_replaces_type_and_perhaps_value_of_an_echoed_input():
    answer = await echoed(
        NamedValue("a", "int", 1),
        NamedValue("b", "int", 2),
        outputs=[{"name": "a", "type": "string"}, {"name": "b", "type": "int", "value": 3}],
    )
    assert answer.parameters == [NamedValue("a", "string", 1), NamedValue("b", "int", 3)]


async def test_echo_warns_of_odd_outputs_in_its_log(caplog):
    odd = [
        {"type": "int"},
        "text",
        {"name": "x", "type": ["?"]},
        {"name": "y", "type": "int", "value": "no"},
    ]
    with caplog.at_level(logging.WARNING, "aether.executor.echo"):
        answer = await echoed(outputs=odd)
        assert (await echoed(outputs="no list")).code == 0
    assert answer.parameters == [NamedValue("x", "string", ""), NamedValue("y", "int", "no")]
    assert len(caplog.records) == 5


async def test_echo_takes_no_bool_for_an_int(caplog):
    with caplog.at_level(logging.WARNING, "aether.executor.echo"):
        await echoed(outputs=[{"name": "x", "type": "int", "value": True}])
    assert len(caplog.records) == 1


async def test_echo_suspends_until_it_is_resumed():
    assert (await echoed(suspend=True, a=1)).code == 1
    assert (await echoed(suspend=True, a=1)).parameters == []
    resumed = await echoed(suspend=True, a=1, __resumed=False)
    assert (resumed.code, outputs(resumed)) == (0, {"a": 1})
    assert (await echoed(suspend="true")).code == 0


async def test_echo_fails_as_often_as_asked():
    executor = EchoExecutor()
    codes = [
        (await executor.execute(request(_retry_count=n, **{"fail-count": 2}))).code
        for n in range(4)
    ]
    assert codes == [2, 2, 0, 0]


async def test_echo_tests_suspend_before_failure():
    assert (await run(EchoExecutor(), suspend=True, **{"fail-count": 5})).code == 1


@pytest.mark.parametrize("count", ["2", 2.0])
async def test_echo_reads_a_count_written_as_text(count):
    assert (await run(EchoExecutor(), **{"fail-count": count})).code == 2


@pytest.mark.parametrize("count", ["x", [], 1e999, float("nan"), True, "9" * 5000])
async def test_echo_takes_no_nonsense_for_a_count(count):
    assert (await run(EchoExecutor(), **{"fail-count": count})).code == 0


# -- function


async def called(function, **inputs):
    pool = ThreadPool(2)
    try:
        return await run(FunctionExecutor("f", function, pool=pool), **inputs)
    finally:
        pool.close()


async def test_functions_are_called_with_the_inputs_as_keywords():
    async def add(a: int, b: int = 10):
        return {"sum": a + b}

    assert await called(add, a=1) == {"sum": 11}
    assert await called(add, a=1, b=2) == {"sum": 3}


async def test_plain_functions_run_in_another_thread_with_the_callers_context():
    mark = contextvars.ContextVar("mark")
    mark.set("here")

    def where():
        return {"thread": threading.get_ident(), "mark": mark.get()}

    answer = await called(where)
    assert answer["thread"] != threading.get_ident()
    assert answer["mark"] == "here"


async def test_whatever_a_function_returns_becomes_outputs():
    @dataclass
    class Point:
        x: int
        y: int

    class Named(msgspec.Struct, rename="camel"):
        long_name: int

    for value, expected in (
        (None, None),
        ({"a": 1}, {"a": 1}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Named(3), {"longName": 3}),
        (5, {"result": 5}),
        ([1], {"result": [1]}),
        ("text", {"result": "text"}),
        (False, {"result": False}),
    ):
        assert await called(lambda value=value: value) == expected
    assert (await called(lambda: Outcome.failed("no"))).code == 2


async def test_hyphens_in_inputs_are_underscores_in_arguments():
    async def work(order_id: str, *, dry_run: bool = False):
        return {"got": [order_id, dry_run]}

    assert await called(work, **{"order-id": "7", "dry-run": True}) == {"got": ["7", True]}
    both = await called(work, **{"order-id": "7", "order_id": "8"})
    assert (both.code, both.error_type) == (3, "bad-arguments")


async def test_missing_and_unexpected_arguments_are_an_error_that_names_them():
    async def work(a, b, c=1):
        pytest.fail("it must not be called")

    answer = await called(work, a=1, d=2, e=3)
    assert (answer.code, answer.error_type) == (3, "bad-arguments")
    assert "missing inputs: b" in answer.message
    assert "unexpected inputs: d, e" in answer.message
    assert "a, b, c" in answer.message


async def test_control_inputs_reach_only_functions_that_take_them():
    async def deaf(a):
        return {"a": a}

    async def keen(a, **more):
        return more

    assert await called(deaf, a=1, __resumed=True) == {"a": 1}
    assert await called(keen, a=1, __resumed=True) == {"__resumed": True}


async def test_a_function_may_ask_for_the_request():
    async def work(request: Request, a: int):
        return {"task": request.task_run_id, "a": a}

    assert await called(work, a=1) == {"task": "run.1", "a": 1}


async def test_a_function_that_takes_inputs_by_position_only_is_refused():
    def work(a, /):
        return a

    with pytest.raises(Refused) as refused:
        FunctionExecutor("f", work)
    assert refused.value.code == "function-signature"


async def test_what_a_plain_function_raises_arrives():
    def work():
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        await called(work)


async def test_a_generators_end_in_a_thread_is_an_error_and_no_hang():
    def work():
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await called(work)


async def test_a_blocked_function_holds_up_neither_cancellation_nor_close():
    begun, release = threading.Event(), threading.Event()

    def block():
        begun.set()
        release.wait(10)

    pool = ThreadPool(1)
    running = asyncio.ensure_future(pool(block))
    while not begun.is_set():
        await asyncio.sleep(0)
    waiting = asyncio.ensure_future(pool(lambda: pytest.fail("it must not begin")))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    pool.close()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    with pytest.raises(Refused):
        await pool(lambda: 1)
    release.set()


async def test_the_pool_is_bounded_and_does_everything():
    most, now, lock = [0], [0], threading.Lock()

    def work(n):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        with lock:
            now[0] -= 1
        return n

    pool = ThreadPool(3)
    done = await asyncio.gather(*(pool(lambda n=n: work(n)) for n in range(200)))
    assert done == list(range(200))
    assert most[0] <= 3
    assert len([t for t in threading.enumerate() if t.name.startswith("aether-")]) >= 1
    pool.close()


# -- await


async def test_await_suspends_with_its_message():
    answer = await run(AwaitExecutor(), message="May I?")
    assert (answer.code, answer.message) == (1, "May I?")
    assert (await run(AwaitExecutor())).code == 1


async def test_await_succeeds_with_what_the_resume_brought():
    answer = await run(AwaitExecutor(), message="May I?", __resumed=True, by="Ada", approved=True)
    assert (answer.code, outputs(answer)) == (0, {"by": "Ada", "approved": True})


async def test_await_knows_a_resume_that_brings_nothing():
    resumed = request(message="May I?")
    resumed.resumed = True
    assert (await AwaitExecutor().execute(resumed)).code == 0


async def test_await_takes_a_payload_apart():
    answer = await run(AwaitExecutor(), message="May I?", __resumed=True, payload={"by": "Ada"})
    assert (answer.code, outputs(answer)) == (0, {"by": "Ada"})


async def test_await_fails_when_it_is_not_approved():
    answer = await run(AwaitExecutor(), __resumed=True, approved=False, reason="too dear")
    assert (answer.code, answer.message, answer.error_type) == (2, "too dear", "not-approved")
    assert outputs(answer) == {"approved": False, "reason": "too dear"}
    assert (
        await run(AwaitExecutor(), __resumed=True, payload={"approved": False})
    ).message == "not approved"


async def test_a_function_takes_its_pick_of_what_a_loop_passes():
    def bill(order):
        return {"invoice": order}

    executor = FunctionExecutor("bill", bill)
    inputs = {"order": 7, "colour": "red", "loop_iter.index": 0}
    assert outputs(await executor.execute(request(**inputs))) == {"invoice": 7}
    assert (await run(executor, order=7, colour="red")).error_type == "bad-arguments"


# -- shell


async def shelled(*command, executor=None, **inputs):
    return await run(executor or ShellExecutor(), command=list(command), **inputs)


async def test_shell_interprets_nothing():
    answer = await shelled("printf", "%s", "$HOME; `id` && *")
    assert outputs(answer) == {"code": 0, "stdout": "$HOME; `id` && *", "stderr": ""}


async def test_shell_exit_codes_other_than_0_are_failed_with_their_output():
    answer = await shelled("sh", "-c", "echo out; echo bad >&2; exit 3")
    assert (answer.code, answer.error_type) == (2, "exit-code")
    assert outputs(answer) == {"code": 3, "stdout": "out\n", "stderr": "bad\n"}
    assert answer.message == "'sh' ended with exit code 3: bad"


async def test_shell_gives_stdin_cwd_and_env(tmp_path):
    answer = await shelled(
        "sh",
        "-c",
        'cat; pwd; echo "$GREETING"',
        stdin="in\n",
        cwd=str(tmp_path),
        env={"GREETING": "hi"},
    )
    assert outputs(answer)["stdout"] == f"in\n{tmp_path.resolve()}\nhi\n"


def test_shell_works_on_the_loop_of_a_server_too():
    uvloop = pytest.importorskip("uvloop")

    async def both():
        said = await shelled("cat", stdin="in\n" * 100_000)
        late = await shelled(
            "sleep", "60", executor=ShellExecutor(most_time=timedelta(milliseconds=50))
        )
        return outputs(said)["stdout"], late.error_type

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(both()) == ("in\n" * 100_000, "timeout")


async def test_shell_does_not_hand_on_this_process_secrets(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    assert "secret" not in outputs(await shelled("env"))["stdout"]


async def test_shell_stops_at_the_limit_of_output():
    answer = await shelled("yes", executor=ShellExecutor(most_output=100_000))
    assert (answer.code, answer.error_type) == (3, "shell-output")


async def test_shell_stops_at_the_limit_of_time():
    executor = ShellExecutor(most_time=timedelta(milliseconds=50))
    answer = await shelled("sleep", "60", executor=executor)
    assert answer.code == 4
    assert (
        await ShellExecutor().execute(
            request(command=["sleep", "60"], _limit=timedelta(milliseconds=50))
        )
    ).code == 4


async def test_shell_says_what_cannot_be_run(tmp_path):
    for answer in (
        await shelled("no-such-program"),
        await shelled("true", cwd=str(tmp_path / "no")),
    ):
        assert (answer.code, answer.error_type) == (3, "shell-start")


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"command": "echo hi"},
        {"command": []},
        {"command": ["echo", 1]},
        {"command": ["a\0b"]},
        {"command": ["true"], "cwd": 3},
        {"command": ["true"], "env": {"A": 1}},
        {"command": ["true"], "env": {"A=B": "1"}},
        {"command": ["true"], "stdin": b"x"},
        {"command": ["true"], "shell": True},
    ],
)
async def test_shell_refuses_odd_inputs(inputs):
    answer = await run(ShellExecutor(), **inputs)
    assert (answer.code, answer.error_type) == (3, "bad-arguments")


async def test_shell_kills_the_whole_group_on_cancel(tmp_path):
    pids = tmp_path / "pids"
    os.mkfifo(pids)
    script = f'sleep 1000 & echo "$$ $!" > {pids}; trap "" TERM; wait; wait'
    reader = asyncio.ensure_future(asyncio.to_thread(pids.read_text))
    running = asyncio.ensure_future(shelled("sh", "-c", script))
    alive = [int(pid) for pid in (await reader).split()]
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    for pid in alive:
        assert _is_gone(pid)


async def test_shell_leaves_nothing_running_when_the_program_ends():
    answer = await shelled("sh", "-c", "sleep 1000 & echo $!")
    assert answer.code == 0
    assert _is_gone(int(outputs(answer)["stdout"]))


async def test_shell_reports_a_program_killed_by_a_signal():
    answer = await shelled(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert (answer.code, outputs(answer)["code"]) == (2, -signal.SIGKILL)
    assert "signal 9" in answer.message


async def test_shell_does_not_mind_a_program_that_reads_no_input():
    assert (await shelled("true", stdin="x" * 1_000_000)).code == 0


def _is_gone(pid):
    """A process that was killed is gone when the kernel gets round to it: wait for its word."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5)[0])
    finally:
        os.close(handle)


# -- http


@pytest.fixture
async def server():
    async def handle(incoming):
        if "silent" in incoming.query:
            await asyncio.get_running_loop().create_future()
        if "to" in incoming.query:
            raise web.HTTPFound(incoming.query["to"])
        if "size" in incoming.query:
            return web.Response(body=b"x" * int(incoming.query["size"]))
        if "text" in incoming.query:
            return web.Response(text=incoming.query["text"], content_type="text/plain")
        return web.json_response(
            {
                "method": incoming.method,
                "body": await incoming.text(),
                "mark": incoming.headers.get("X-Mark"),
            },
            status=int(incoming.query.get("status", 200)),
        )

    application = web.Application()
    application.router.add_route("*", "/", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def asked(url, executor=None, **inputs):
    return await run(executor or HttpExecutor(), url=url, **inputs)


async def test_http_gets_status_headers_body_and_json(server):
    answer = await asked(server, headers={"X-Mark": "m"})
    got = outputs(answer)
    assert (answer.code, got["status"]) == (0, 200)
    assert got["headers"]["content-type"].startswith("application/json")
    assert got["json"] == {"method": "GET", "body": "", "mark": "m"}


async def test_http_sends_text_or_json(server):
    assert outputs(await asked(server, method="put", body="ü"))["json"]["body"] == "ü"
    assert outputs(await asked(server, method="POST", json=[1]))["json"]["body"] == "[1]"


async def test_http_a_body_that_is_no_json_has_no_json(server):
    assert "json" not in outputs(await asked(f"{server}?text=hello"))


async def test_http_4xx_is_failed_and_5xx_an_error_with_outputs_and_without_query(server):
    failed = await asked(f"{server}?status=404&token=secret")
    assert (failed.code, failed.error_type, outputs(failed)["status"]) == (2, "http-404", 404)
    assert "secret" not in failed.message
    assert (await asked(f"{server}?status=503")).code == 3


async def test_http_expected_statuses_are_success_and_all_others_are_not(server):
    assert (await asked(f"{server}?status=404", **{"expect-status": 404})).code == 0
    assert (await asked(f"{server}?status=503", **{"expect-status": [200, 503]})).code == 0
    unexpected = await asked(server, **{"expect-status": [201, 202]})
    assert (unexpected.code, "expected 201, 202" in unexpected.message) == (2, True)


async def test_http_follows_redirects_of_get_only(server):
    assert (await asked(f"{server}?to=/")).code == 0
    answer = await asked(f"{server}?to=/", method="POST", **{"expect-status": 302})
    assert answer.code == 0


async def test_http_stops_at_the_limit_of_size(server):
    answer = await asked(f"{server}?size=5000", HttpExecutor(most_bytes=1000))
    assert (answer.code, answer.error_type) == (3, "http-size")


async def test_http_stops_at_the_limit_of_time(server):
    assert (await asked(f"{server}?silent=1", timeout=0.05)).code == 4


async def test_http_a_refused_connection_is_an_error():
    answer = await asked("http://127.0.0.1:9/")
    assert (answer.code, answer.error_type) == (3, "http-connection")


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"url": 3},
        {"url": "ftp://x"},
        {"url": "file:///etc/passwd"},
        {"url": "http://"},
        {"url": "http://x:99999999"},
        {"url": "http://x", "method": "BREW"},
        {"url": "http://x", "headers": {"a": 1}},
        {"url": "http://x", "headers": {"a": "b\r\nc: d"}},
        {"url": "http://x", "body": {"a": 1}},
        {"url": "http://x", "body": "a", "json": 1},
        {"url": "http://x", "expect-status": "200"},
        {"url": "http://x", "expect-status": 99},
        {"url": "http://x", "timeout": 0},
        {"url": "http://x", "timeout": "1s"},
        {"url": "http://x", "verb": "GET"},
    ],
)
async def test_http_refuses_odd_inputs(inputs):
    answer = await run(HttpExecutor(), **inputs)
    assert (answer.code, answer.error_type) == (3, "bad-arguments")


async def test_http_without_its_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(Refused) as refused:
        await HttpExecutor().execute(request(url="http://127.0.0.1:9/"))
    assert refused.value.code == "extra-missing"
    assert "aether-workflows[http]" in str(refused.value)
