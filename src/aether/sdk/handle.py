"""A run of a function, as the code that started it holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from ..errors import WorkflowCancelled, WorkflowFailed, WorkflowTimedOut
from ..flow import decode, encode, encode_call, from_plain, read_error, rebuilt
from ..ports import Execution, FunctionRuns, RunEnd, TaskExecution
from ..record import Phase
from .outside import must_be_outside

R = TypeVar("R")


class Handle(Generic[R]):
    """Get one from `workflow.start(…)` or `app.handle(run_id)`. It holds nothing: any number of handles
    of one run may exist, in any process."""

    def __init__(
        self, run_id: str, runs: Callable[[], FunctionRuns], result_type: Any = None
    ) -> None:
        self.id = run_id
        self._runs = runs
        self._result_type = result_type

    def __repr__(self) -> str:
        return f"<Handle of run {self.id}>"

    def _asked(self) -> FunctionRuns:
        must_be_outside(f"a handle of run {self.id}")
        return self._runs()

    def __await__(self) -> Generator[Any, None, R]:
        return self.result().__await__()

    async def result(self, timeout: timedelta | float | None = None) -> R:
        """What the function returned. Raises WorkflowFailed, WorkflowCancelled or WorkflowTimedOut for a
        run that did not succeed, and WaitTimeout when `timeout` (seconds) passes first: the run goes on.
        """
        value: R = value_of(await self._asked().end(self.id, timeout), self._result_type)
        return value

    async def status(self) -> Execution:
        """The run as it stands: its phase, its steps, why it waits."""
        return await self._asked().get(self.id)

    def watch(self) -> AsyncIterator[Execution]:
        """The run now, and again after each change, until it is over."""
        return self._asked().watch(self.id)

    async def progress(self) -> AsyncIterator[tuple[str, Any]]:
        """What the run's activities tell with `activity.heartbeat(…)`, as (activity, what it told), until
        the run is over. What comes in quick succession may be told once, with the last."""
        told: dict[str, Any] = {}
        async for execution in self.watch():
            for task in execution.tasks:
                if task.told and told.get(task.task_run_id) != task.told:
                    told[task.task_run_id] = task.told
                    yield task.task_name, from_plain(task.told[0].value)

    async def cancel(self, *, force: bool = False) -> None:
        """Ask the function to stop: it sees a CancelledError and may clean up. With `force` the run ends
        at once, and the function is dropped where it stands."""
        await self._asked().cancel(self.id, force=force)

    async def pause(self) -> None:
        """Nothing new is begun until `unpause`; what runs may finish; timers stand still."""
        await self._asked().pause(self.id)

    async def unpause(self) -> None:
        await self._asked().unpause(self.id)

    async def signal(self, name: str, payload: Any = None, *, key: str = "") -> None:
        """Send a signal, for `ctx.wait_for(name)`. It is on record when this returns. Signals with the
        same `key` are taken once, so a caller that is not sure may send again."""
        data = None if payload is None else encode(payload, "payload")
        await self._asked().signal(self.id, name, data, key)

    async def update(
        self,
        name: str,
        /,
        *args: Any,
        key: str = "",
        timeout: timedelta | float | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call the update handler `name` inside the run, and return what it answers. Raises Refused
        `update-refused` with what the handler raised, and WaitTimeout: the update is answered all the
        same, and asking again with the same `key` finds the answer."""
        data = encode_call(args, kwargs)
        return decode(await self._asked().update(self.id, name, data, key, timeout))

    async def query(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Ask the run something, without a trace on its record."""
        return decode(await self._asked().query(self.id, name, encode_call(args, kwargs)))

    async def history(self) -> list[TaskExecution]:
        """Each durable call of the run so far, in the order in which they were recorded."""
        return (await self.status()).tasks[1:]


def value_of(end: RunEnd, result_type: Any = None) -> Any:
    """The result of a run that is over; raises what kept it from having one."""
    if end.phase is Phase.SUCCEEDED:
        return decode(end.outputs, result_type)
    if end.phase is Phase.CANCELLED:
        raise WorkflowCancelled(end.run_id, f"run {end.run_id} was {end.message or 'cancelled'}")
    if end.phase is Phase.TIMEOUT:
        raise WorkflowTimedOut(end.run_id, f"run {end.run_id} timed out: {end.message}")
    recorded = read_error(end.outputs)
    if recorded is None:
        raise WorkflowFailed(end.run_id, end.message)
    failed = WorkflowFailed(
        end.run_id,
        str(recorded),
        error_type=recorded.type,
        step=recorded.step,
        attempt=recorded.attempt,
        traceback=recorded.traceback,
    )
    raise failed from rebuilt(recorded)
