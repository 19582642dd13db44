"""What the small adapters promise beyond their ports."""

import asyncio
import logging
import threading
from datetime import timedelta

import pytest
from aiohttp import web

from aether.adapters.artifacts import HttpArtifacts, LocalArtifacts, check_source
from aether.adapters.clock import Agenda, SystemClock
from aether.adapters.errors import BackgroundSink, CollectingSink, LogSink, line
from aether.adapters.ids import CounterIds, UuidV7Ids
from aether.adapters.secrets import DirectorySecrets, EnvSecrets
from aether.adapters.timeouts import HeapTimeoutWatcher
from aether.adapters.variables import EnvVars, StaticVars, SystemVars
from aether.adapters.workers import MemoryWorkers
from aether.errors import NotFound, Problem, Refused, StoreUnavailable
from aether.ports import Fault
from aether.testing import FakeClock


def test_counter_ids_count_from_their_start():
    ids = CounterIds("r-", start=7)
    assert [ids.generate("Workflow", "x") for _ in range(3)] == ["r-7", "r-8", "r-9"]
    assert CounterIds().generate("CronWorkflow", "x") == "1"


@pytest.mark.parametrize("prefix", ["a.b", "a b", "é", "x" * 101])
def test_counter_ids_refuse_a_prefix_that_no_id_may_begin_with(prefix):
    with pytest.raises(ValueError, match="prefix"):
        CounterIds(prefix)


def test_uuid_ids_are_in_the_order_of_their_making():
    ids = UuidV7Ids()
    made = [ids.generate("Workflow", "x") for _ in range(10_000)]
    assert made == sorted(made)
    assert all(len(each) == 36 and each[14] == "7" for each in made)


async def test_fake_clock_shows_each_callback_its_own_instant():
    clock = FakeClock(start=0)
    seen = []
    for when in (3_000_000, 1_000_000, 2_000_000):
        clock.call_at(when, lambda: seen.append(clock.now()))
    assert (clock.waiting, clock.next_at) == (3, 1_000_000)
    await clock.advance(timedelta(seconds=10))
    assert seen == [1_000_000, 2_000_000, 3_000_000]
    assert clock.now() == 10_000_000
    await clock.advance(to=5)
    assert clock.now() == 10_000_000


def test_fake_clock_can_be_set_up_before_the_loop_runs():
    clock = FakeClock()
    clock.call_at(clock.now() - 1, lambda: None)
    clock.set_back(timedelta(seconds=1))
    assert clock.waiting == 1


async def test_system_clock_refuses_a_second_loop_while_calls_wait_in_the_first():
    clock = SystemClock()
    handle = clock.call_at(clock.now() + 10**9, lambda: None)
    raised = []

    def other():
        async def ask():
            clock.call_at(clock.now(), lambda: None)

        try:
            asyncio.run(ask())
        except RuntimeError as exc:
            raised.append(str(exc))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    handle.cancel()
    assert "one for each loop" in raised[0]


def test_an_agenda_forgets_cancelled_calls():
    agenda = Agenda()
    for number in range(10_000):
        agenda.add(number, lambda: None).cancel()
    assert len(agenda) == 0
    assert len(agenda._heap) < 200


async def test_a_watcher_tells_its_sink_of_a_callback_that_raises():
    clock, sink = FakeClock(), CollectingSink()
    watcher = HeapTimeoutWatcher(clock, sink)

    def fail(run_id):
        raise RuntimeError("planted")

    watcher.start(fail)
    watcher.set("run-1", clock.now() + 1)
    assert len(watcher) == 1
    await clock.advance(timedelta(seconds=1))
    (fault,) = sink.faults
    assert fault.run_id == "run-1"
    assert "planted" in fault.what
    assert len(watcher) == 0


async def test_a_watcher_survives_a_sink_that_raises():
    class Raising:
        def on_error(self, fault, error=None):
            raise RuntimeError("planted")

    clock = FakeClock()
    watcher = HeapTimeoutWatcher(clock, Raising())
    called = []

    def look(run_id):
        called.append(run_id)
        raise RuntimeError("planted too")

    watcher.start(look)
    watcher.set("a", clock.now() + 1)
    watcher.set("b", clock.now() + 2)
    await clock.advance(timedelta(seconds=1))
    assert called == ["a", "b"]


def test_the_log_line_says_what_happened_and_what_happens_next():
    fault = Fault(
        operation="deliver a hook",
        what="no answer",
        next="tried again in 2 s",
        run_id="7",
        task_run_id="7.3",
    )
    assert line(fault) == (
        "deliver a hook: no answer. Next: tried again in 2 s (run 7, task run 7.3)"
    )
    assert line(Fault(operation="stop", what="it took long")) == "stop: it took long"


def test_the_log_shows_no_traceback_for_what_a_user_can_mend(caplog):
    sink = LogSink()
    sink.on_error(Fault(operation="o", what="w"), NotFound(Problem("x", "gone")))
    sink.on_error(Fault(operation="o", what="w", severity="warning"), ValueError("bug"))
    first, second = caplog.records
    assert first.exc_info is None or first.exc_info[0] is None
    assert second.exc_info[0] is ValueError
    assert (first.levelno, second.levelno) == (logging.ERROR, logging.WARNING)


def test_a_collecting_sink_is_bounded_and_counts_what_it_dropped():
    sink = CollectingSink(limit=3)
    for number in range(5):
        sink.on_error(Fault(operation="o", what=str(number)), ValueError(number))
    assert [fault.what for fault in sink.faults] == ["2", "3", "4"]
    assert len(sink.errors) == 3
    assert (sink.taken, sink.dropped) == (5, 2)
    sink.clear()
    assert (sink.faults, sink.taken) == ([], 0)


def test_a_sink_that_blocks_holds_nobody_up_and_the_oldest_are_dropped(caplog):
    go, taken = threading.Event(), threading.Event()

    class Blocking(CollectingSink):
        def on_error(self, fault, error=None):
            taken.set()
            go.wait(10)
            super().on_error(fault, error)

    inner = Blocking()
    sink = BackgroundSink(inner, limit=2)
    sink.on_error(Fault(operation="o", what="0"))
    assert taken.wait(10)
    for number in range(1, 6):
        sink.on_error(Fault(operation="o", what=str(number)))
    go.set()
    sink.close()
    assert [fault.what for fault in inner.faults] == ["0", "4", "5"]
    assert "3 faults were dropped" in caplog.text


def test_a_sink_that_raises_is_told_in_the_log(caplog):
    class Raising:
        def on_error(self, fault, error=None):
            raise RuntimeError("planted")

    sink = BackgroundSink(Raising())
    sink.on_error(Fault(operation="o", what="lost?"))
    sink.close()
    sink.on_error(Fault(operation="o", what="after close"))
    assert "lost?" in caplog.text
    assert "it raised RuntimeError" in caplog.text
    assert "after close" in caplog.text


def test_the_variable_of_a_secret_is_told():
    assert EnvSecrets().variable("billing", "api-key") == "AETHER_SECRET_BILLING_API_KEY"


async def test_secrets_come_from_the_real_environment(monkeypatch):
    monkeypatch.setenv("AETHER_SECRET_A_B_C", "x")
    assert await EnvSecrets().get("a", "b.c") == "x"
    monkeypatch.delenv("AETHER_SECRET_A_B_C")
    assert await EnvSecrets().get("a", "b.c") is None


async def test_one_newline_at_the_end_of_a_secret_is_no_part_of_it(tmp_path):
    (tmp_path / "db").mkdir()
    for key, content in {"a": "x\n", "b": "x\n\n", "c": "x\r\n", "d": "\n"}.items():
        (tmp_path / "db" / key).write_bytes(content.encode())
    provider = DirectorySecrets(tmp_path)
    assert [await provider.get("db", key) for key in "abcd"] == ["x", "x\n", "x", ""]


async def test_links_are_followed_within_the_root_only(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("stolen")
    root = tmp_path / "root"
    (root / "db" / "..data").mkdir(parents=True)
    (root / "db" / "..data" / "token").write_text("kept")
    (root / "db" / "token").symlink_to("..data/token")
    (root / "db" / "leak").symlink_to(outside)
    (root / "db" / "circle").symlink_to("circle")
    (root / "leaky").symlink_to(tmp_path)
    provider = DirectorySecrets(root)
    assert await provider.get("db", "token") == "kept"
    assert await provider.get("db", "leak") is None
    assert await provider.get("leaky", "outside") is None
    assert await provider.get("db", "..data") is None
    with pytest.raises(StoreUnavailable):
        await provider.get("db", "circle")


async def test_a_secret_that_is_no_text_is_refused_without_showing_it(tmp_path):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "key").write_bytes(b"hunter2\xff\xfe")
    (tmp_path / "db" / "big").write_bytes(b"x" * ((1 << 20) + 1))
    provider = DirectorySecrets(tmp_path)
    with pytest.raises(Refused) as raised:
        await provider.get("db", "key")
    assert raised.value.code == "secret-not-text"
    assert "hunter2" not in repr(raised.value)
    assert raised.value.__cause__ is None
    with pytest.raises(Refused) as raised:
        await provider.get("db", "big")
    assert raised.value.code == "secret-too-large"


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", ("linux", "amd64")),
        ("Darwin", "arm64", ("darwin", "arm64")),
        ("Windows", "AMD64", ("windows", "amd64")),
        ("Linux", "aarch64", ("linux", "arm64")),
        ("Linux", "i686", ("linux", "386")),
        ("Linux", "riscv64", ("linux", "riscv64")),
    ],
)
def test_system_and_machine_have_the_names_that_go_gives_them(
    monkeypatch, system, machine, expected
):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    values = SystemVars().variables()
    assert (values["os"], values["arch"]) == expected


def test_the_environment_shows_its_prefix_only_and_never_secrets():
    environment = {"AETHER_X": "1", "AETHER_SECRET_A_B": "hunter2", "HOME": "/", "AETHER_": "2"}
    assert EnvVars("env", "AETHER_", environment).variables() == {"X": "1"}
    with pytest.raises(ValueError, match="prefix is empty"):
        EnvVars("env", "")


def test_static_variables_are_checked_when_they_are_given():
    given = {"a": [1]}
    source = StaticVars("site", given)
    given["a"].append(2)
    assert source.variables() == {"a": [1]}
    with pytest.raises(ValueError, match="JSON"):
        StaticVars("site", {"a": object()})
    with pytest.raises(ValueError, match="every key"):
        StaticVars("site", {"": 1})
    for namespace in ("tasks", "a.b", ""):
        with pytest.raises(ValueError, match="namespace"):
            StaticVars(namespace, {})


def test_a_time_to_live_must_leave_time():
    with pytest.raises(ValueError, match="ttl"):
        MemoryWorkers(FakeClock(), timedelta(0))


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "..", "\\\\host\\x", "C:/x", "a\x00b", ".", " "]
)
async def test_local_artifacts_stay_below_their_root(tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "x").write_bytes(b"outside")
    repository = LocalArtifacts(root)
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    assert repository.check({"path": path})
    for call in (
        repository.upload({"path": path}, file),
        repository.download({"path": path}, tmp_path / "t"),
        repository.delete({"path": path}),
    ):
        with pytest.raises(Refused):
            await call
    assert (tmp_path / "x").read_bytes() == b"outside"


async def test_a_link_that_leaves_the_artifacts_folder_is_refused(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"outside")
    (root / "link").symlink_to(outside)
    repository = LocalArtifacts(root)
    for call in (
        repository.download({"path": "link/x"}, tmp_path / "t"),
        repository.upload({"path": "link/x"}, outside / "x"),
        repository.delete({"path": "link/x"}),
    ):
        with pytest.raises(Refused, match="leads out"):
            await call
    assert (outside / "x").read_bytes() == b"outside"


class Server:
    def __init__(self, answer):
        self.answer = answer

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def __aexit__(self, *_):
        await self.runner.cleanup()


async def test_http_artifacts_refuse_a_body_beyond_the_limit(tmp_path):
    async def answer(request):
        return web.Response(body=b"x" * 1001)

    target = tmp_path / "t"
    async with Server(answer) as base:
        repository = HttpArtifacts(max_bytes=1000)
        with pytest.raises(Refused, match="more than 1000 bytes"):
            await repository.download({"url": f"{base}/a"}, target)
        target.write_bytes(b"x" * 1001)
        with pytest.raises(Refused, match="larger than 1000 bytes"):
            await repository.upload({"url": f"{base}/a"}, target)
    assert list(tmp_path.iterdir()) == [target]


async def test_http_artifacts_send_their_headers_and_follow_no_redirect(tmp_path):
    seen = []

    async def answer(request):
        seen.append((request.path, request.headers.get("Authorization")))
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with Server(answer) as base:
        config = {"url": f"{base}/a", "headers": {"Authorization": "Bearer t"}}
        with pytest.raises(Refused, match="answered with 302"):
            await HttpArtifacts().download(config, tmp_path / "t")
    assert seen == [("/a", "Bearer t")]


async def test_a_body_that_breaks_off_leaves_no_file(tmp_path):
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        request.transport.close()
        return response

    async with Server(answer) as base:
        with pytest.raises(Refused, match="failed"):
            await HttpArtifacts().download({"url": f"{base}/a"}, tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "config",
    [
        {"url": "ftp://x/y"},
        {"url": "http://x/\n"},
        {"url": "http://[x"},
        {"url": "http://x", "headers": {"A": "b\r\nC: d"}},
        {"url": "http://x", "headers": {"A": 1}},
        {"url": "http://x", "method": "POST"},
    ],
)
def test_http_configs_that_cannot_be_sent_are_found(config):
    assert HttpArtifacts().check(config)


def test_a_source_is_checked_against_the_repositories_there_are(tmp_path):
    repositories = {"local": LocalArtifacts(tmp_path)}
    assert check_source("local", {"path": "a"}, repositories) == []
    (problem,) = check_source("local", {"path": "../a"}, repositories)
    assert problem.code == "artifact-config"
    (problem,) = check_source("ftp", {}, repositories)
    assert problem.code == "artifact-repository-unknown"
    assert "type is 'ftp'" in problem.fix
    assert "served: local" in problem.what


def test_oss_is_checked_and_handed_to_whoever_is_registered_for_it():
    class Bucket(LocalArtifacts):
        type = "oss"

        def check(self, config):
            return []

    right = {"bucket": "b", "key": "k", "endpoint": "https://e"}
    assert check_source("oss", right, {"oss": Bucket("x")}) == []
    assert [p.code for p in check_source("oss", right, {})] == ["artifact-repository-unknown"]
    wrong = {"bucket": "", "key": 1, "region": "x"}
    problems = check_source("oss", wrong, {"oss": Bucket("x")})
    assert [problem.code for problem in problems] == ["artifact-config"] * 4
