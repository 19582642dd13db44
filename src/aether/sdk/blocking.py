"""The same calls for code that is not async: scripts, Flask, Django."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from ..flow import Span
from ..ports import Execution
from .functions import Functions, Served
from .handle import Handle
from .outside import must_be_outside
from .workflow import OnExisting, Startable, Workflow

P = ParamSpec("P")
R = TypeVar("R")


class LoopThread(Protocol):
    """An event loop in a thread of its own, begun by the first `call`."""

    def call(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run what `make` makes on that loop, and return or raise what it does."""

    def close(self) -> None: ...


class _Outside:
    """The loop, for calls that are not made by workflow functions."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self.close = loop.close

    def call(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        must_be_outside("app.sync")
        return self._loop.call(make)


class BlockingHandle(Generic[R]):
    """Handle, for callers that block."""

    def __init__(self, handle: Handle[R], loop: LoopThread) -> None:
        self.id = handle.id
        self._handle = handle
        self._loop = loop

    def result(self, timeout: timedelta | float | None = None) -> R:
        return self._loop.call(lambda: self._handle.result(timeout))

    def status(self) -> Execution:
        return self._loop.call(self._handle.status)

    def cancel(self, *, force: bool = False) -> None:
        self._loop.call(lambda: self._handle.cancel(force=force))

    def pause(self) -> None:
        self._loop.call(self._handle.pause)

    def unpause(self) -> None:
        self._loop.call(self._handle.unpause)

    def signal(self, name: str, payload: Any = None, *, key: str = "") -> None:
        self._loop.call(lambda: self._handle.signal(name, payload, key=key))

    def update(
        self,
        name: str,
        /,
        *args: Any,
        key: str = "",
        timeout: timedelta | float | None = None,
        **kwargs: Any,
    ) -> Any:
        update = self._handle.update
        return self._loop.call(lambda: update(name, *args, key=key, timeout=timeout, **kwargs))

    def query(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        return self._loop.call(lambda: self._handle.query(name, *args, **kwargs))

    def history(self) -> list[Any]:
        return self._loop.call(self._handle.history)


class Blocking:
    """`app.sync`: the app on a loop in a thread of its own. It starts with the first call and stops with
    `close`, or at the end of `with app.sync:`. Never use it beside the async calls of the same app."""

    def __init__(self, app: Functions, loop: LoopThread, stop: Callable[[], Any]) -> None:
        self._app = app
        self._loop = _Outside(loop)
        self._stop = stop

    def __enter__(self) -> Self:
        self.serve()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def serve(self, functions: Iterable[Served] = ()) -> None:
        self._loop.call(lambda: self._app.serve(functions))

    def close(self) -> None:
        """Stop the app and its loop. Idempotent."""
        self._loop.call(self._stop)
        self._loop.close()

    @overload
    def start(
        self, workflow: Startable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> BlockingHandle[R]: ...
    @overload
    def start(
        self,
        workflow: Workflow[..., R],
        /,
        *args: Any,
        id: str,
        on_existing: OnExisting = "attach",
        delay: Span | None = None,
        at: datetime | None = None,
        timeout: Span | None = None,
        labels: Mapping[str, str] | None = None,
        tier: str = "",
        **kwargs: Any,
    ) -> BlockingHandle[R]: ...
    def start(self, workflow: Any, /, *args: Any, **kwargs: Any) -> BlockingHandle[Any]:
        """Begin a run: `app.sync.start(order, "o-1", id="o-1")`, or with every argument checked by a type
        checker `app.sync.start(order.options(id="o-1"), "o-1")`."""
        handle = self._loop.call(lambda: workflow.start(*args, **kwargs))
        return BlockingHandle(handle, self._loop)

    @overload
    def start_and_wait(
        self, workflow: Startable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def start_and_wait(
        self,
        workflow: Workflow[..., R],
        /,
        *args: Any,
        id: str,
        on_existing: OnExisting = "attach",
        timeout: Span | None = None,
        labels: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> R: ...
    def start_and_wait(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Begin a run and return what the function returns; its failure is raised."""
        return self._loop.call(lambda: workflow.start_and_wait(*args, **kwargs))

    def handle(self, run_id: str, result_type: type[R] | None = None) -> BlockingHandle[R]:
        return BlockingHandle(self._app.handle(run_id, result_type), self._loop)
