"""Artifacts around an execution: fetched before, kept after, gone when it is over."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from aether.adapters.broker import LocalBroker
from aether.adapters.executor import Executors
from aether.adapters.threads import ThreadPool
from aether.errors import NotFound, Problem
from aether.ports import ArtifactTransfer, Assignment, Cancellation, Fence, Outcome, Schema
from aether.testing.clock import FakeClock
from aether.worker import Worker, pack


class Shelf:
    """An ArtifactRepository that keeps bytes by key."""

    type = "shelf"

    def __init__(self):
        self.kept = {}

    def check(self, config):
        return []

    async def upload(self, config, file):
        self.kept[config["key"]] = file.read_bytes()
        return {"key": config["key"], "size": file.stat().st_size}

    async def download(self, config, target):
        if config["key"] not in self.kept:
            raise NotFound(Problem("artifact-not-found", f"there is no {config['key']}"))
        target.write_bytes(self.kept[config["key"]])

    async def delete(self, config):
        self.kept.pop(config["key"], None)


class Events:
    def __init__(self):
        self.result = asyncio.get_running_loop().create_future()

    def on_task_started(self, task_run_id, fence, worker_id=""):
        return

    def on_task_heartbeat(self, task_run_id, fence, details):
        raise AssertionError("no task here sends heartbeats")

    def on_task_completed(self, result):
        self.result.set_result(result)


class Sink:
    def __init__(self):
        self.faults = []

    def on_error(self, fault, error=None):
        self.faults.append(fault)


def take(name, key="", archive="none", kind="shelf"):
    return ArtifactTransfer(name=name, type=kind, config={"key": key or name}, archive=archive)


def keep(name, key="", archive="none", kind="shelf"):
    return ArtifactTransfer(
        name=name, type=kind, config={"key": key or name}, archive=archive, output=True
    )


async def run(shelf, behave, *transfers, offload=None, sink=None, during=None):
    class Executor:
        schema = Schema(type="x")

        async def execute(self, request):
            return await behave(request)

    broker, events, clock = LocalBroker(), Events(), FakeClock()
    broker.connect(events)
    worker = Worker(
        broker,
        Executors([Executor()]),
        worker_id="w1",
        clock=clock,
        artifacts={"shelf": shelf},
        offload=offload,
        errors=sink,
    )
    await worker.start()
    assignment = Assignment(
        run_id="run",
        task_run_id="run.0",
        fence=Fence(1, 1),
        task_name="t",
        executor_type="x",
        artifacts=transfers,
    )
    await broker.dispatch([assignment])
    if during is not None:
        await during(broker, Cancellation("run.0", Fence(1, 1), "stop"))
    async with asyncio.timeout(5):
        result = await events.result
    await worker.stop(timedelta(0))
    await broker.close()
    return result


async def test_inputs_are_there_before_and_nothing_is_left_after():
    shelf = Shelf()
    shelf.kept["k"] = b"hello"
    seen = []

    async def behave(request):
        seen.append((request.artifacts["data"], request.output_dir))
        return {"text": request.artifacts["data"].read_text()}

    result = await run(shelf, behave, take("data", "k"))
    assert result.outcome.parameters[0].value == "hello"
    ((data, output_dir),) = seen
    assert not data.exists()
    assert not output_dir.exists()


async def test_outputs_are_kept_under_the_config_that_finds_them_again():
    shelf = Shelf()

    async def behave(request):
        (request.output_dir / "report").write_text("done")

    result = await run(shelf, behave, keep("report", "r"))
    assert shelf.kept == {"r": b"done"}
    assert result.outcome.artifacts == {"report": {"key": "r", "size": 4}}


@pytest.mark.parametrize("archive", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("threads", [False, True])
async def test_folders_travel_as_archives(archive, threads):
    shelf = Shelf()
    pool = ThreadPool(2) if threads else None

    async def make(request):
        (request.output_dir / "site" / "deep").mkdir(parents=True)
        (request.output_dir / "site" / "deep" / "index.html").write_text("<p>")

    async def read(request):
        return {"text": (request.artifacts["site"] / "deep" / "index.html").read_text()}

    await run(shelf, make, keep("site", archive=archive), offload=pool)
    result = await run(shelf, read, take("site", archive=archive), offload=pool)
    assert result.outcome.parameters[0].value == "<p>"
    if pool is not None:
        pool.close()


async def test_an_artifact_that_does_not_exist_is_an_error_and_nothing_runs():
    async def behave(request):
        pytest.fail("it must not run")

    result = await run(Shelf(), behave, take("data"))
    assert (result.outcome.code, result.outcome.error_type) == (3, "artifact-not-found")
    assert "there is no data" in result.outcome.message


async def test_a_repository_that_is_not_there_is_an_error_that_names_it():
    async def behave(request):
        return None

    result = await run(Shelf(), behave, take("data", kind="oss"))
    assert result.outcome.error_type == "artifact-repository-unknown"
    assert "'oss'" in result.outcome.message


@pytest.mark.parametrize("name", ["../x", "", ".", "..", "a/b", "/etc/passwd", "a\0b"])
async def test_a_name_cannot_lead_elsewhere(name):
    shelf = Shelf()
    shelf.kept["k"] = b"x"

    async def behave(request):
        return None

    for transfer in (take(name, "k"), keep(name, "k")):
        assert (await run(shelf, behave, transfer)).outcome.error_type == "artifact-name"


async def test_an_archive_with_a_trap_is_an_error(tmp_path):
    shelf = Shelf()
    shelf.kept["k"] = b"no archive"

    async def behave(request):
        return None

    result = await run(shelf, behave, take("data", "k", archive="zip"))
    assert result.outcome.error_type == "artifact-archive"


async def test_a_folder_without_archive_is_an_error_that_says_what_to_do():
    async def behave(request):
        (request.output_dir / "site").mkdir()

    result = await run(Shelf(), behave, keep("site"))
    assert result.outcome.error_type == "artifact-archive"


async def test_an_output_that_did_not_come_is_a_fault_and_no_error():
    sink = Sink()

    async def behave(request):
        return {"a": 1}

    result = await run(Shelf(), behave, keep("report"), sink=sink)
    assert (result.outcome.code, result.outcome.artifacts) == (0, {})
    assert "left no artifact 'report'" in sink.faults[0].what


async def test_a_link_is_not_followed_out_of_the_folder():
    shelf = Shelf()

    async def behave(request):
        (request.output_dir / "report").symlink_to("/etc/passwd")

    await run(shelf, behave, keep("report"))
    assert shelf.kept == {}


async def test_a_failed_task_keeps_nothing():
    shelf = Shelf()

    async def behave(request):
        (request.output_dir / "report").write_text("half")
        return Outcome.failed("no")

    result = await run(shelf, behave, keep("report"))
    assert (result.outcome.code, shelf.kept) == (2, {})


async def test_what_a_cancelled_executor_leaves_is_not_kept():
    shelf = Shelf()
    begun = asyncio.Event()
    folders = []

    async def behave(request):
        folders.append(request.output_dir)
        (request.output_dir / "report").write_text("half")
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return {"swallowed": True}

    async def during(broker, stop):
        await begun.wait()
        await broker.cancel([stop])

    result = await run(shelf, behave, keep("report"), during=during)
    assert (result.outcome.code, shelf.kept) == (4, {})
    assert not Path(folders[0]).exists()


def test_pack_is_what_the_repository_gets(tmp_path):
    (tmp_path / "a").write_text("a")
    pack(tmp_path / "a", "zip", tmp_path / "packed")
    assert (tmp_path / "packed").read_bytes().startswith(b"PK")


async def test_an_outcome_that_an_executor_returns_every_time_is_not_written_to():
    always = Outcome()

    async def behave(request):
        (request.output_dir / "report").write_text("done")
        return always

    result = await run(Shelf(), behave, keep("report"))
    assert "report" in result.outcome.artifacts
    assert always == Outcome()
