"""Listener: one ASGI application on one port, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import NotSupported, Problem, Refused

if TYPE_CHECKING:
    from uvicorn import Server

_WAITING = 1024  # connections that the system may hold before they are accepted


class Listener:
    """`bind` takes the port, so that one which is taken is known before anything else begins; `start` answers
    when requests are served; `stop` lets those in flight end within `grace` seconds."""

    def __init__(self, application: Any, host: str, port: int) -> None:
        self._application = application
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None

    def bind(self) -> None:
        """Raises Refused `port-taken`, `bad-host`."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self._host, self._port))
            bound.listen(_WAITING)
        except OSError as exc:
            bound.close()
            raise _cannot_listen(self._host, self._port, exc) from exc
        bound.setblocking(False)
        self._socket = bound

    @property
    def port(self) -> int:
        """The port that was taken, also where any would do (port 0)."""
        assert self._socket is not None, "bound before it is asked"
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        assert self._socket is not None, "bound before it is started"
        self._server = _server(self._application)
        self._task = asyncio.ensure_future(self._server.serve([self._socket]))
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0)

    async def stop(self, grace: float) -> None:
        """Idempotent."""
        if self._server is not None and self._task is not None:
            self._server.config.timeout_graceful_shutdown = max(1, round(grace))
            self._server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._server = self._task = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _server(application: Any) -> Server:
    try:
        from uvicorn import Config, Server

        from .heads import bounded_protocol

        protocol = bounded_protocol()
    except ImportError as exc:
        raise NotSupported(
            Problem(
                "extra-missing",
                "serving HTTP needs uvicorn, which is not installed",
                fix="pip install 'aether-workflows[server]'",
            )
        ) from exc

    class Quiet(Server):
        """Signals are for whoever runs the process."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=30,
        http=protocol,
    )
    return Quiet(config)


def _cannot_listen(host: str, port: int, exc: OSError) -> Refused:
    if exc.errno == errno.EADDRINUSE:
        what = f"port {port} of {host} is taken by another program"
        return Refused(Problem("port-taken", what, fix="stop that, or choose another port"))
    if exc.errno == errno.EACCES:
        what = f"port {port} may not be used by this user"
        return Refused(Problem("port-taken", what, fix="choose a port above 1023"))
    return Refused(
        Problem(
            "bad-host",
            f"cannot listen on '{host}': {exc.strerror or exc}",
            fix="give an address of this machine: 127.0.0.1, ::1, 0.0.0.0",
        )
    )
