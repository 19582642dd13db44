"""A server put together: the engine of this process, HTTP in front of it, and how both begin and end.

Each part that listens is a Listener in `parts`; another protocol is one more of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from ..adapters.broker import LocalBroker
from ..adapters.clock import SystemClock
from ..adapters.errors import LogSink
from ..adapters.executor import ThreadPool
from ..adapters.store import MemoryStore, PostgresStore, SqliteStore, sqlite_path
from ..app import Aether
from ..errors import Problem, Refused, StoreError
from ..ports import Commit, CommitOutcome, Store
from ..server.feed import Feed
from ..server.http import Access, Application, Listener, MetricsPage, Services
from ..server.metrics import Both, Metrics
from ..server.settings import Settings
from ..server.tokens import Tokens
from .report import report_page

_HTTP_GRACE = 5.0
_SECOND = 1.0  # a signal that comes later than this ends the process where it stands


class MeteredStore:
    """The store, with its transactions counted."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        began = time.perf_counter()
        try:
            outcomes = await self._store.commit(batch)
        except StoreError:
            self._metrics.commit_failed()
            raise
        self._metrics.committed(len(batch), time.perf_counter() - began)
        return outcomes


class Serving:
    """`app` is the engine of this process and `ports` maps what listens to its port."""

    def __init__(self, settings: Settings, *, encryption: str = "", version: str = "") -> None:
        self._settings = settings
        self.url = database_url(settings.text("server.db_path"))
        self.host = settings.text("server.host")
        clock, errors = SystemClock(), LogSink()
        self.tokens = Tokens(token_file(settings))
        refuse_open_doors(self.host, self.tokens)
        broker = LocalBroker()
        self._feed = feed = Feed(clock)
        self.metrics = metrics = Metrics(
            clock,
            queues=broker.waiting,
            gauges={
                "aether_event_streams": (
                    "Open streams of events.",
                    lambda: float(self.services.streams),
                )
            },
        )
        store = cast(Store, MeteredStore(_store(self.url), metrics))
        self.app = Aether(
            self.url,
            store=store,
            broker=broker,
            clock=clock,
            error_sink=errors,
            tier=settings.text("persistence.mode"),
            encryption=encryption,
        )
        self._drawing = ThreadPool(1, "aether-reports")
        self.services = Services(
            self.app.engine,
            clock=clock,
            feed=feed,
            access=Access(self.tokens, clock),
            errors=errors,
            offload=self._drawing,
            epoch=f"{clock.now():x}",
            queues=broker.waiting,
            report=report_page,
            hosts=[*settings.texts("security.hosts"), *_names(self.host)],
            version=version,
        )
        http = Application(self.services)
        self.parts = {"http": Listener(http, self.host, settings.number("server.http_port"))}
        if settings.is_on("metrics.enabled"):
            page = Application(self.services, MetricsPage(metrics.text).routes())
            self.parts["metrics"] = Listener(page, self.host, settings.number("metrics.port"))

    @property
    def ports(self) -> dict[str, int]:
        return {name: part.port for name, part in self.parts.items()}

    async def start(self) -> None:
        """Ports first: one that is taken is known before the store is touched."""
        began = time.perf_counter()
        try:
            for part in self.parts.values():
                part.bind()
            self.app.engine.observe(Both(self._feed.changed, self.metrics.changed))
            await self.app.start()
            self.metrics.start_seconds = time.perf_counter() - began
            for part in self.parts.values():
                await part.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """No new work; requests in flight are answered; running tasks get their time; the rest stays stored."""
        self.services.draining.set()
        self._feed.close()
        await self.services.bulk.stop()
        grace = self._settings.seconds("server.grace")
        http = [part for name, part in self.parts.items() if name != "metrics"]
        for part in http:
            await part.stop(min(grace, _HTTP_GRACE))
        await self.app.stop(timedelta(seconds=grace))
        if "metrics" in self.parts:
            await self.parts["metrics"].stop(0)
        self._drawing.close()


@asynccontextmanager
async def serving(settings: Settings, **more: str) -> AsyncIterator[Serving]:
    server = Serving(settings, **more)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def serve(
    settings: Settings,
    ready: Callable[[Serving], None],
    until: asyncio.Event | None = None,
    **more: str,
) -> None:
    """Until SIGTERM or SIGINT, or `until` is set. Another signal, a second later, ends the process where
    it stands."""
    asked = until or asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def forget() -> None:
        for each in signals:
            loop.remove_signal_handler(each)

    def stop() -> None:
        if not asked.is_set():  # some supervisors say it twice at once
            asked.set()
            loop.call_later(_SECOND, forget)

    with contextlib.suppress(NotImplementedError):  # Windows
        for each in signals:
            loop.add_signal_handler(each, stop)
    async with serving(settings, **more) as server:
        ready(server)
        await asked.wait()


def database_url(text: str) -> str:
    """A path is that of a SQLite file."""
    if "://" in text or text.startswith(("memory:", "sqlite:", "postgresql:", "postgres:")):
        return text
    return f"sqlite:///{text}"


def shown_url(url: str) -> str:
    """Without the password that the address of a server may hold."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    netloc = f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


def token_file(settings: Settings) -> Path:
    """Where it was said, else beside the SQLite file, else under `data`."""
    named = settings.text("security.tokens")
    if named:
        return Path(named)
    url = database_url(settings.text("server.db_path"))
    if url.startswith("sqlite:"):
        path = sqlite_path(url)
        return path.with_name(f"{path.name}.tokens.json")
    return Path("data/aether.tokens.json")


def refuse_open_doors(host: str, tokens: Tokens) -> None:
    """Raises Refused `no-tokens` for a server that others can reach and anybody could use."""
    if is_loopback(host) or tokens.exist():
        return
    raise Refused(
        Problem(
            "no-tokens",
            f"{host} can be reached from other machines, and nobody would need a token",
            fix=f"aether token create --role admin --tokens {tokens.path}",
        )
    )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names(host: str) -> list[str]:
    try:
        ip_address(host)
    except ValueError:
        return [host]
    return []


def _store(url: str) -> Store:
    if url in ("memory:", "memory://"):
        return MemoryStore(history=True)
    if url.startswith("sqlite:"):
        return SqliteStore(sqlite_path(url))
    if url.startswith(("postgresql:", "postgres:")):
        return PostgresStore(url)
    raise Refused(
        Problem(
            "unknown-store",
            f"'{shown_url(url)}' names no store",
            fix="use the path of a file, 'memory:' or 'postgresql://user@host/database'",
        )
    )
