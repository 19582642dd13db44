"""`aether serve` as a process of its own: it begins quickly, answers, drains, and lets nobody in unasked."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AETHER = [sys.executable, "-m", "aether.cli"]
HELLO = (ROOT / "examples" / "hello.yaml").read_bytes()
SLOW = b"""
apiVersion: aether/v1
kind: Workflow
metadata: {name: slow}
spec:
  entrypoint: nap
  templates:
    - task:
        name: nap
        executor: {type: shell}
        inputs:
          parameters:
            - name: command
              value: [sh, -c, "echo begun >> begun; sleep 1; echo rested"]
"""
pytestmark = pytest.mark.skipif(os.name == "nt", reason="it is stopped by signals")


class Server:
    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        self.url = re.search(r"http://\S+", lines[1])[0]  # type: ignore[index]
        self.token = ""

    def ask(self, path: str, body: bytes | None = None, media: str = "application/json") -> Any:
        headers = {"content-type": media}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[Server]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AETHER_")}
    ports = ("--http-port", "0", "--metrics-port", "0")
    with subprocess.Popen(
        [*AETHER, "serve", *ports, *flags],
        cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        if not lines[2]:
            process.wait(10)
            assert process.stderr is not None
            raise AssertionError(process.stderr.read())
        try:
            yield Server(process, lines)
        finally:
            process.kill()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AETHER, *arguments], cwd=folder, text=True, capture_output=True, timeout=60, check=False
    )


def test_a_server_runs_documents_keeps_them_and_goes_on_where_it_was(tmp_path: Path) -> None:
    with serving(tmp_path, "--db", "runs.db") as server:
        run = server.ask("/runs", HELLO, "application/yaml")["runId"]
        done = server.ask(f"/runs/{run}/result?wait=30s")
        assert done["status"] == "Succeeded"
        assert server.ask("/readyz") == server.ask("/healthz")
        assert "<table" in server.ask("/")
        assert "Content-Security-Policy" in server.ask(f"/pages/runs/{run}/report")
        metrics = re.search(r"http://\S+/metrics", server.lines[2])
        assert metrics is not None
        with urllib.request.urlopen(metrics[0], timeout=10) as answer:
            assert b'aether_runs_total{workflow="hello",phase="Succeeded"} 1' in answer.read()
        assert server.stop() == 0
    with serving(tmp_path, "--db", "runs.db") as server:
        assert [each["runId"] for each in server.ask("/runs")["runs"]] == [run]
        assert server.stop() == 0


def test_a_running_task_gets_its_time_when_the_server_is_stopped(tmp_path: Path) -> None:
    with serving(tmp_path, "--db", "runs.db", "--grace", "20s") as server:
        run = server.ask("/runs", SLOW, "application/yaml")["runId"]
        while not (tmp_path / "begun").exists():
            server.ask("/healthz")
        assert server.stop() == 0
    with serving(tmp_path, "--db", "runs.db") as server:
        found = server.ask(f"/runs/{run}/result?wait=10s")
        assert found["status"] == "Succeeded"
        assert len((tmp_path / "begun").read_text("utf-8").splitlines()) == 1
        server.stop()


def test_streams_and_waiting_requests_do_not_keep_a_server_from_ending(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--db", "runs.db", "--grace", "20s") as server,
        urllib.request.urlopen(server.url + "/events", timeout=30) as stream,
    ):
        assert stream.readline() == b"retry: 1000\n"
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
        stream.read()  # it ends


def test_a_server_is_ready_soon(tmp_path: Path) -> None:
    """The bar is a second on a quiet machine; five tells a slow one from one that waits for something."""
    began = time.monotonic()
    with serving(tmp_path, "--db", "runs.db") as server:
        server.ask("/readyz")
        assert time.monotonic() - began < 5


def test_a_server_that_others_can_reach_does_not_start_without_a_token(tmp_path: Path) -> None:
    refused = command(
        tmp_path, "serve", "--host", "0.0.0.0", "--http-port", "0", "--metrics-port", "0"
    )
    assert refused.returncode == 3
    assert "error[no-tokens]" in refused.stderr
    fix = re.search(r"fix: aether (.+)", refused.stderr)
    assert fix is not None
    made = command(tmp_path, *fix[1].split())
    assert made.returncode == 0, made.stderr
    with serving(tmp_path, "--host", "0.0.0.0") as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(urllib.error.HTTPError) as denied:
            server.ask("/runs")
        assert denied.value.code == 401
        denied.value.close()
        server.token = made.stdout.strip()
        assert server.ask("/runs")["runs"] == []
        assert command(tmp_path, "token", "revoke", "admin").returncode == 0
        with pytest.raises(urllib.error.HTTPError) as denied:
            server.ask("/runs")
        assert denied.value.code == 401
        denied.value.close()
    listed = json.loads(command(tmp_path, "token", "list", "--json").stdout)
    assert [(each["name"], each["state"]) for each in listed] == [("admin", "revoked")]


def test_a_port_that_is_taken_is_told_before_the_store_is_touched(tmp_path: Path) -> None:
    with serving(tmp_path, "--db", "one.db") as server:
        port = server.url.rpartition(":")[2]
        second = command(tmp_path, "serve", "--http-port", port, "--db", "two.db", "--no-metrics")
        assert second.returncode == 3
        assert "error[port-taken]" in second.stderr
        assert not (tmp_path / "two.db").exists()


def test_a_file_with_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "aether.toml").write_text("[server]\nhttpport = 1\n", "utf-8")
    refused = command(tmp_path, "serve")
    assert refused.returncode == 3
    assert "did you mean 'http_port'?" in refused.stderr


def test_log_lines_can_be_json(tmp_path: Path) -> None:
    made = command(tmp_path, "token", "create", "--role", "admin", "--tokens", "t.json")
    flags = ("--db", "memory:", "--tokens", "t.json", "--json-logs")
    with serving(tmp_path, *flags) as server:
        server.token = made.stdout.strip()
        server.ask("/runs", HELLO, "application/yaml")
        server.stop()
        assert server.process.stderr is not None
        lines = [json.loads(line) for line in server.process.stderr.read().splitlines()]
    [line] = [line for line in lines if line["logger"] == "aether.audit"]
    assert line["message"].startswith("admin (")


def test_a_head_without_end_is_cut_off_and_others_are_served(tmp_path: Path) -> None:
    with serving(tmp_path, "--db", "memory:") as server:
        port = int(server.url.rpartition(":")[2])
        for line in (b"x-%d: " + b"a" * 20_000 + b"\r\n", b"a" * 20_000):
            with socket.create_connection(("127.0.0.1", port)) as endless:
                endless.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ")
                with pytest.raises(OSError):
                    for number in range(2_000):
                        endless.sendall(line % number if b"%" in line else line)
        assert server.ask("/healthz")["status"] == "ok"
        server.stop()


def test_the_command_line_asks_a_server(tmp_path: Path) -> None:
    approval = str(ROOT / "examples" / "documents" / "approval.yaml")
    hello = str(ROOT / "examples" / "hello.yaml")
    with serving(tmp_path, "--db", "runs.db") as server:
        there = ("--server", server.url)
        done = command(tmp_path, "submit", hello, "-a", "name=Ada", "--wait", *there)
        assert done.returncode == 0, done.stderr
        assert "hello Succeeded" in done.stdout
        run = command(
            tmp_path, "submit", approval, "--label", "team=a", "--key", "k1", *there
        ).stdout.strip()
        assert (
            command(
                tmp_path, "submit", approval, "--label", "team=a", "--key", "k1", *there
            ).stdout.strip()
            == run
        )
        listed = command(tmp_path, "list", "--label", "team=a", "--unfinished", *there).stdout
        assert run in listed
        assert "hello" not in listed
        assert "waits: main/ask: suspended" in listed
        assert f"{run} is paused" in command(tmp_path, "pause", run[:20], *there).stdout
        assert "goes on" in command(tmp_path, "unpause", run, *there).stdout
        assert "is cancelled" in command(tmp_path, "cancel", "last", *there).stdout
        status = command(tmp_path, "status", "last", *there)
        assert "approval" in status.stdout
        again = command(tmp_path, "cancel", run, *there)
        assert (again.returncode, "run-over" in again.stderr) == (3, True)
        assert command(tmp_path, "status", "none", *there).returncode == 8
        assert (
            command(tmp_path, "token", "create", "--role", "admin", "--db", "runs.db").returncode
            == 0
        )
        time.sleep(0.2)  # a server looks at its tokens ten times a second
        denied = command(tmp_path, "list", *there)
        assert (denied.returncode, "no-credentials" in denied.stderr) == (10, True)
        server.stop()
    gone = command(tmp_path, "list", *there)
    assert (gone.returncode, "server-unreachable" in gone.stderr) == (9, True)
