"""shell: runs a program. There is no shell in it: nothing of an argument is ever interpreted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from ...errors import Problem, Refused
from ...ports import FAILED, Field, Outcome, Request, Schema
from ...record import NamedValue
from ..extra_inputs import strangers

_INPUTS = ("command", "cwd", "env", "stdin")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SYSTEMROOT")
_GRACE = 2.0  # seconds between asking a group of processes to end and killing it


class ShellExecutor:
    """Inputs: `command` (a list: program and arguments), `cwd`, `env` (added to `environment`), `stdin`.
    Outputs: `code`, `stdout`, `stderr`. An exit code other than 0 is Failed.

    Output beyond `most_output` bytes a stream, or a run longer than `most_time`, is an ERROR. On
    cancellation, and whenever it ends early, the program and all it has started (its process group)
    are asked to end and then killed. The program sees only `environment`, which is by default PATH,
    HOME, LANG and the like: never the secrets of this process. The input artifact `raw-data` lies at
    AETHER_ARTIFACT_RAW_DATA; what it leaves at $AETHER_OUTPUTS/<name> is the output artifact <name>.
    """

    def __init__(
        self,
        type: str = "shell",  # noqa: A002 - the protocol's own word
        *,
        most_output: int = 1 << 20,
        most_time: timedelta = timedelta(hours=1),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._most_output = most_output
        self._most_time = most_time
        self._environment = dict(_harmless() if environment is None else environment)
        self._schema = Schema(
            type=type,
            description="Runs a program without a shell",
            inputs=(
                Field("command", "array", True, "the program and its arguments"),
                Field("cwd", "string", False, "the folder to run in"),
                Field("env", "object", False, "environment variables to add"),
                Field("stdin", "string", False, "text for its standard input"),
            ),
            outputs=(
                Field("code", "int", False, "the exit code; minus the signal's number if killed"),
                Field("stdout", "string"),
                Field("stderr", "string"),
            ),
        )

    @property
    def schema(self) -> Schema:
        return self._schema

    async def execute(self, request: Request) -> Outcome:
        command, cwd, env, stdin = _read(request.inputs)
        try:
            environment = self._environment | _artifacts_of(request) | env
            program = await self._begin(command, cwd, environment, stdin)
        except (OSError, ValueError) as error:
            return Outcome.error(
                f"the program '{command[0]}' cannot be run: {error}", "shell-start"
            )
        limit = self._most_time
        if request.timeout is not None:
            limit = min(limit, request.timeout)
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await program.over.wait()
        except TimeoutError:
            return Outcome.timeout(f"'{command[0]}' ran longer than {limit}")
        finally:
            await program.end()
        if program.too_much:
            return Outcome.error(
                f"'{command[0]}' wrote more than {self._most_output} bytes", "shell-output"
            )
        return _outcome(command[0], program.code, program.text(1), program.text(2))

    async def _begin(
        self, command: list[str], cwd: str | None, env: dict[str, str], stdin: str
    ) -> _Program:
        """The program in a process group of its own, so that all of it can be ended."""
        starting = asyncio.ensure_future(
            asyncio.get_running_loop().subprocess_exec(
                lambda: _Program(self._most_output),
                *command,
                cwd=cwd,
                env=env,
                stdin=PIPE if stdin else DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                start_new_session=True,
            )
        )
        try:
            _, program = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Cancelled in the middle, asyncio would end the program, but not what that has started.
            await asyncio.wait([starting])
            if starting.exception() is None:
                await starting.result()[1].end()
            raise
        if stdin:
            program.feed(stdin.encode("utf-8", "replace"))
        return program


class _Program(asyncio.SubprocessProtocol):
    """One program that runs. `asyncio.subprocess` would not do: its `wait` also waits for whatever the
    program left behind with its outputs open."""

    def __init__(self, most_output: int) -> None:
        self.exited = asyncio.Event()
        self.over = asyncio.Event()  # it has exited and said all, or said too much
        self.too_much = False
        self._room = {1: most_output, 2: most_output}
        self._said: dict[int, list[bytes]] = {1: [], 2: []}

    @property
    def code(self) -> int:
        code = self._transport.get_returncode()
        assert code is not None, "it has exited"
        return code

    def text(self, stream: int) -> str:
        return b"".join(self._said[stream]).decode("utf-8", "replace")

    def feed(self, data: bytes) -> None:
        """All of it, and then the end; the program need not read it."""
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        pipe.write(data)
        pipe.write_eof()

    async def end(self) -> None:
        """However far it is: nothing of it is left running."""
        try:
            if not self.exited.is_set():
                self._signal(signal.SIGTERM)
                await self._moment(self.exited)
        finally:
            self._signal(signal.SIGKILL)
            await self._moment(self.exited)
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop makes transports that are known as what they are.
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._room[fd] -= len(data)
        if self._room[fd] < 0:
            self.too_much = True
            self.over.set()
        else:
            self._said[fd].append(data)

    def process_exited(self) -> None:
        self.exited.set()
        self._signal(signal.SIGKILL)  # what it left behind would hold its outputs open
        # What has left the group in time may do so for ever.
        asyncio.get_running_loop().call_later(_GRACE, self.over.set)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the whole group is gone
            os.killpg(self._transport.get_pid(), number)

    async def _moment(self, event: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await event.wait()


def _outcome(program: str, code: int, out: str, err: str) -> Outcome:
    values = [
        NamedValue("code", "int", code),
        NamedValue("stdout", "string", out),
        NamedValue("stderr", "string", err),
    ]
    if code == 0:
        return Outcome(parameters=values)
    said = err.strip().splitlines()
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    text = f"'{program}' {ended}" + (f": {said[-1][:500]}" if said else "")
    return Outcome(FAILED, text, values, error_type="exit-code")


def _harmless() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _artifacts_of(request: Request) -> dict[str, str]:
    """Where a program finds its input artifacts, and where it leaves its output artifacts."""
    found = {
        f"AETHER_ARTIFACT_{re.sub('[^A-Za-z0-9]', '_', name).upper()}": str(path)
        for name, path in request.artifacts.items()
    }
    if request.output_dir is not None:
        found["AETHER_OUTPUTS"] = str(request.output_dir)
    return found


def _read(inputs: Mapping[str, Any]) -> tuple[list[str], str | None, dict[str, str], str]:
    """(command, cwd, env, stdin). Raises Refused `bad-arguments`."""
    command = inputs.get("command")
    if not isinstance(command, list) or not command or not all(map(_is_word, command)):
        raise _bad("`command` must be a list of texts: the program, then its arguments")
    cwd = inputs.get("cwd")
    if cwd is not None and not _is_word(cwd):
        raise _bad("`cwd` must be the path of a folder")
    env = inputs.get("env") or {}
    if not isinstance(env, dict) or not all(_is_word(v) and "=" not in k for k, v in env.items()):
        raise _bad("`env` must map names of variables to texts")
    stdin = inputs.get("stdin") or ""
    if not isinstance(stdin, str):
        raise _bad("`stdin` must be text")
    if unknown := strangers(inputs, _INPUTS):
        raise _bad(f"unexpected inputs: {', '.join(unknown)}")
    return command, cwd, env, stdin


def _is_word(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _bad(what: str) -> Refused:
    return Refused(Problem("bad-arguments", what, fix="its inputs are command, cwd, env and stdin"))
