"""One `aether run`: submit, drive, and what came of it, without printing and without exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from ..document import Source
from ..errors import Problem, ProblemError, Refused
from ..ports import CronExecution, Execution, LogEntry, TaskExecution
from ..record import Phase
from . import drive, verify
from .arguments import argument_values, declared_types
from .drive import Show

T = TypeVar("T")


class Submitter(drive.Runner, Protocol):
    """What a session needs of `Aether`, besides driving."""

    async def submit(
        self, document: Source, arguments: Mapping[str, Any] | None = None, *, lenient: bool = False
    ) -> str: ...
    async def submit_cron(self, document: Source, *, lenient: bool = False) -> str: ...
    async def put_template(self, document: Source, *, lenient: bool = False) -> str: ...
    async def history(self, run_id: str, after_seq: int = 0) -> Sequence[LogEntry]: ...


class Plan(msgspec.Struct, kw_only=True, frozen=True):
    """What was asked for on the command line."""

    arguments: Sequence[str] = ()  # `name=value`, read according to the types the document declares
    limit: float | None = None
    triggers: int | None = None
    assertions: verify.Assertions | None = None
    platform: dict[str, str] = {}
    lenient: bool = False
    wants_history: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """What came of it. Exactly one of `execution`, `cron` and `refusal` is set."""

    execution: Execution | None = None
    cron: CronExecution | None = None
    refusal: ProblemError | None = None
    mismatches: list[str] | None = None  # None when nothing was to be verified
    stopped_by: int | None = None  # the signal that ended it
    active: Sequence[TaskExecution] = ()  # what it was doing when it was stopped
    history: Sequence[LogEntry] = ()
    document: Source | None = None  # None when the text could not be read

    @property
    def runs(self) -> list[Execution]:
        """The runs there are, oldest first."""
        if self.execution is not None:
            return [self.execution]
        return sorted(self.cron.runs, key=lambda run: run.created_at) if self.cron else []


async def run_document(
    app: Submitter,
    read: Callable[[], Source],
    plan: Plan,
    show: Show = drive.show_nothing,
    read_templates: Callable[[], Sequence[Source]] = tuple,
) -> Outcome:
    """`read` may refuse the document, which is as good as a submit that is refused."""
    document = None
    try:
        templates = read_templates()
        for template in templates:
            await app.put_template(template, lenient=plan.lenient)
        document = read()
        is_cron = isinstance(document.data, dict) and document.data.get("kind") == "CronWorkflow"
        _refuse_ignored(plan, is_cron)
        if is_cron:
            key = await app.submit_cron(document, lenient=plan.lenient)
        else:
            types = declared_types(document.data, [template.data for template in templates])
            arguments = argument_values(plan.arguments, types)
            key = await app.submit(document, arguments, lenient=plan.lenient)
    except ProblemError as exc:
        wanted = plan.assertions
        mismatches = None if wanted is None else verify.check_refusal(str(exc), wanted)
        return Outcome(refusal=exc, mismatches=mismatches, document=document)
    outcome = await (_cron if is_cron else _workflow)(app, key, plan, show)
    outcome.document = document
    if plan.wants_history and outcome.runs:
        outcome.history = await _whole_history(app, outcome.runs[-1].run_id)
    return outcome


def _refuse_ignored(plan: Plan, is_cron: bool) -> None:
    """An option that has no effect on this kind of document was meant to have one."""
    if is_cron and plan.arguments:
        what, fix = "a CronWorkflow takes no arguments", "write them into its workflowSpec"
    elif plan.triggers is not None and not is_cron:
        what, fix = "--trigger is for a CronWorkflow", "leave it out; this document runs once"
    else:
        return
    raise Refused(Problem("bad-argument", what, fix=fix))


async def _workflow(app: Submitter, run_id: str, plan: Plan, show: Show) -> Outcome:
    wanted = plan.assertions
    if wanted is not None and wanted.expect_submit_error:
        # It should have been refused; that it was not is all there is to say about it.
        execution = await drive.stop(app, run_id)
        return Outcome(execution=execution, mismatches=verify.check_refusal(None, wanted))
    outcome = Outcome()
    following = drive.follow(
        app,
        run_id,
        limit=plan.limit,
        show=show,
        resume_after=wanted.resume_seconds if wanted else None,
        cancel_after=wanted.cancel_seconds if wanted else None,
    )

    async def stop() -> Execution:
        outcome.active = active_leaves(await app.get(run_id))
        return await drive.stop(app, run_id, show)

    execution, outcome.stopped_by = await unless_stopped(following, stop)
    outcome.execution = execution
    if wanted is not None:
        outcome.mismatches = verify.check(execution, wanted, plan.platform)
    return outcome


async def _cron(app: Submitter, cron_id: str, plan: Plan, show: Show) -> Outcome:
    wanted = plan.assertions
    if wanted is not None and wanted.expect_submit_error:
        cron = await app.get_cron(cron_id)
        return Outcome(cron=cron, mismatches=verify.check_refusal(None, wanted))
    outcome = Outcome()

    def is_settled(cron: CronExecution) -> bool:
        # What holds half a second after the last trigger counts; a slow machine gets the time limit.
        return drive.all_ended(cron) or (
            wanted is not None and not verify.check_cron(cron, wanted, plan.platform)
        )

    async def stop() -> CronExecution:
        runs = (await app.get_cron(cron_id)).runs
        outcome.active = [task for run in runs for task in active_leaves(run)]
        for run in runs:
            if not run.status.is_terminal:
                await drive.stop(app, run.run_id, show)
        return await app.get_cron(cron_id)

    asked = wanted.cron_trigger_count if wanted else None
    triggers = plan.triggers if plan.triggers is not None else 1 if asked is None else asked
    following = drive.follow_cron(
        app, cron_id, triggers=triggers, limit=plan.limit, show=show, is_settled=is_settled
    )
    view, outcome.stopped_by = await unless_stopped(following, stop)
    outcome.cron = view
    if wanted is not None:
        outcome.mismatches = verify.check_cron(view, wanted, plan.platform)
    return outcome


def active_leaves(execution: Execution) -> list[TaskExecution]:
    """What the run is doing: the task runs that are busy or waiting, without their containers."""
    active = {Phase.READY, Phase.RUNNING, Phase.SUSPENDED}
    return [
        task for task in execution.tasks if task.status in active and task.template_type == "task"
    ]


async def _whole_history(app: Submitter, run_id: str) -> list[LogEntry]:
    entries: list[LogEntry] = []
    while page := await app.history(run_id, after_seq=entries[-1].seq if entries else 0):
        entries += page
    return entries


async def unless_stopped(
    work: Awaitable[T], clean_up: Callable[[], Awaitable[T]]
) -> tuple[T, int | None]:
    """The result of `work`, or that of `clean_up` and the signal that interrupted it.

    The first Ctrl-C arrives as a cancellation of this task, the second as KeyboardInterrupt.
    """
    task = asyncio.current_task()
    assert task is not None, "called from a coroutine"
    received = signal.SIGINT
    loop = asyncio.get_running_loop()

    def terminate() -> None:
        nonlocal received
        received = signal.SIGTERM
        task.cancel()

    with contextlib.suppress(NotImplementedError, RuntimeError):  # not on Windows, not in threads
        loop.add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await work, None
    except asyncio.CancelledError:
        task.uncancel()
        return await clean_up(), int(received)
    finally:
        with contextlib.suppress(NotImplementedError, RuntimeError):
            loop.remove_signal_handler(signal.SIGTERM)
