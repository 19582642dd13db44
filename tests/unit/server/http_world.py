"""A server without sockets: an application over an engine in memory, asked as ASGI servers ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from aether import Aether
from aether.adapters.chance import SystemChance
from aether.adapters.clock import SystemClock
from aether.adapters.errors import CollectingSink
from aether.adapters.executor import ThreadPool
from aether.server.feed import Feed
from aether.server.http import Access, Application, Limits, Services
from aether.server.tokens import Tokens

ECHO = {
    "apiVersion": "aether/v1",
    "kind": "Workflow",
    "metadata": {"name": "hello"},
    "spec": {
        "entrypoint": "greet",
        "arguments": {"parameters": [{"name": "who", "value": "World"}]},
        "templates": [
            {
                "task": {
                    "name": "greet",
                    "executor": {"type": "echo"},
                    "inputs": {
                        "parameters": [
                            {"name": "text", "value": "Hello {{workflow.parameters.who}}"}
                        ]
                    },
                }
            }
        ],
    },
}
WAITS = {
    "apiVersion": "aether/v1",
    "kind": "Workflow",
    "metadata": {"name": "approval"},
    "spec": {
        "entrypoint": "ask",
        "templates": [{"task": {"name": "ask", "executor": {"type": "await"}}}],
    },
}
CRON = {
    "apiVersion": "aether/v1",
    "kind": "CronWorkflow",
    "metadata": {"name": "nightly"},
    "spec": {"schedule": "0 3 * * *", "workflowSpec": ECHO["spec"]},
}
TEMPLATE = {
    "apiVersion": "aether/v1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "base", "version": "1.0"},
    "spec": ECHO["spec"],
}


class Reply(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks the application. `headers` go with each request."""

    def __init__(self, application: Any, headers: Mapping[str, str] = {}) -> None:
        self.application = application
        self.headers = {"host": "localhost:7234", **headers}

    def with_token(self, token: str) -> Client:
        return Client(self.application, {**self.headers, "authorization": f"Bearer {token}"})

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = {},
    ) -> Reply:
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        given = {"content-type": "application/json", **self.headers, **headers}
        sent: list[Any] = []
        parts = [{"type": "http.request", "body": data, "more_body": False}]

        async def receive() -> Any:
            if parts:
                return parts.pop(0)
            return await asyncio.Future()  # it stays

        async def send(message: Any) -> None:
            sent.append(message)

        await self.application(scope_of(method, path, given), receive, send)
        start = sent[0]
        told = {k.decode(): v.decode() for k, v in start["headers"]}
        return Reply(start["status"], told, b"".join(each["body"] for each in sent[1:]))

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str] = {}) -> AsyncIterator[Listening]:
        listening = Listening()
        task = asyncio.ensure_future(
            self.application(
                scope_of("GET", path, {**self.headers, **headers}),
                listening.receive,
                listening.send,
            )
        )
        try:
            yield listening
        finally:
            listening.gone.set()
            await task


class Listening:
    """The reader of a stream. `taken` is how much it lets through; None for all."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.parts: asyncio.Queue[bytes] = asyncio.Queue()
        self.status = 0
        self.stuck: asyncio.Event | None = None
        self.ended = asyncio.Event()
        self._sent_request = False
        self._text = ""

    async def receive(self) -> Any:
        if not self._sent_request:
            self._sent_request = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if self.stuck is not None:
            await self.stuck.wait()
        self.parts.put_nowait(message["body"])
        if not message.get("more_body"):
            self.ended.set()

    async def event(self) -> tuple[str, str, Any]:
        """The next event that has data: (type, id, data)."""
        while True:
            while "\n\n" not in self._text:
                self._text += (await asyncio.wait_for(self.parts.get(), 10)).decode()
            block, _, self._text = self._text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in fields:
                return (
                    fields.get("event", "message"),
                    fields.get("id", ""),
                    json.loads(fields["data"]),
                )


def scope_of(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    raw, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": raw,
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }


class World:
    def __init__(
        self, app: Aether, services: Services, tokens: Tokens, errors: CollectingSink
    ) -> None:
        self.app = app
        self.services = services
        self.tokens = tokens
        self.errors = errors
        self.ask = Client(Application(services))

    def token(self, role: str, name: str = "", **more: Any) -> str:
        now = self.services.clock.now()
        return self.tokens.create(SystemChance(), name=name or role, role=role, now=now, **more)[1]

    async def submitted(self, document: Any = ECHO, **more: Any) -> str:
        reply = await self.ask("POST", "/runs", {"document": document, **more})
        assert reply.status == 201, reply.body
        run_id: str = reply.json["runId"]
        return run_id

    async def suspended(self) -> tuple[str, str]:
        """A run that waits for a resume, and the task run that does."""
        run_id = await self.submitted(WAITS)
        async for view in self.app.watch(run_id):
            if view.tasks and view.tasks[-1].status == "Suspended":
                return run_id, view.tasks[-1].task_run_id
        raise AssertionError("it ended")


@asynccontextmanager
async def world(folder: Path, limits: Limits | None = None, **more: Any) -> AsyncIterator[World]:
    from aether.adapters.store import MemoryStore

    clock, errors = SystemClock(), CollectingSink()
    store = MemoryStore(history=True)
    wired = more.pop("app", {})
    app = Aether("memory:", store=store, clock=clock, error_sink=errors, **wired)
    feed = Feed(clock, **({"kept": more.pop("kept")} if "kept" in more else {}))
    tokens = Tokens(folder / "tokens.json", fresh=0)
    pool = ThreadPool(1)
    services = Services(
        app.engine,
        clock=clock,
        feed=feed,
        access=Access(tokens, clock),
        errors=errors,
        offload=pool,
        epoch="e1",
        limits=limits,
        **more,
    )
    async with app:
        app.engine.observe(feed)
        try:
            yield World(app, services, tokens, errors)
        finally:
            services.draining.set()
            feed.close()
            await services.bulk.stop()
            pool.close()
