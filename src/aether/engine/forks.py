"""Time travel, the half that writes: new runs that go on from the past of others.

In: a run, a point of it, and what is to be different from there. Out: a run of its own, which shares the log
so far. Never: a change of the run that it comes from, or a result made up: what is kept is what was recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from ..document import Workflow
from ..errors import InvalidState, NotFound, NotSupported, Problem, ProblemError, Refused
from ..plan import (
    Kept,
    Plan,
    RunForked,
    current_tasks,
    keep_all,
    keep_before,
    keep_succeeded,
    task_spec,
)
from ..ports import Clock, Fork, Forked, IdGenerator, RunQuery, Store
from ..record import (
    ACTION_LOG,
    MEMORY,
    NamedValue,
    Origin,
    RunRow,
    RunRows,
    decode_values,
    encode_values,
    head_of,
    parse_task_run_id,
)
from ..validate import fits, type_name
from .documents import Documents, check_arguments
from .runs import Runs
from .sentences import full_path
from .sizes import Sizes
from .travel import rows_at

_LISTED = 5
_PAGE = 500


class Forking:
    """The calls of `Engine` that make runs of other runs; `Engine` sets these members."""

    _store: Store
    _runs: Runs
    _documents: Documents
    _clock: Clock
    _ids: IdGenerator
    _sizes: Sizes

    async def fork(
        self,
        origin: str,
        /,
        *,
        from_task: str = "",
        from_seq: int | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - what it is called on the command line too
        arguments: Mapping[str, Any] | None = None,
        run_id: str = "",
    ) -> str:
        """Begin a run that goes on from run `origin`, and return its id once it is stored.

        It begins as `origin` stood after decision `from_seq`, or as it stands, with the task run
        `from_task` (its name, path or id) and all that came of it still to be done. `set` replaces
        arguments of the workflow for what runs from there on; results that are kept stay what they are.
        `arguments` replace or join the inputs of `from_task`, in each of its attempts.

        Raises NotFound for a run, a step or a task run that there is not, Refused for values that do not
        fit, for a name that several task runs have, and for a point behind which nothing is left to do,
        and NotSupported `no-log` for `from_seq` where no log was kept, `no-fork` for a run of which
        nothing is.
        """
        self._must_run("fork")
        if bool(from_task) == (from_seq is not None):
            raise _which_point()
        if arguments and not from_task:
            raise _inputs_of_no_task()
        now, plan = await self._point(origin, from_seq)
        at = max(self._clock.now(), now.run.decided_at)
        given, task = None, ""
        if from_seq is not None:
            if now.run.phase.is_terminal:
                raise _over_there(origin, from_seq)
            kept = keep_all(plan, now, at)
        else:
            ordinal = find_task(plan, now, from_task)
            task = full_path(now, now.tasks[ordinal])
            given = self._given(plan, now, ordinal, arguments or {})
            kept = keep_before(plan, now, ordinal, at)
        row = _new_row(now.run, run_id or self._new_id(now.run), at, "fork", task)
        if given:
            row.given = given
            row.origin = _placed(row.origin, kept)
        if set:
            row.arguments = self._sizes.submitted(_replaced(plan.document, row.arguments, set))
        return await self._begin_fork(row, now.run, plan, kept, at, binds=bool(set))

    async def retry(self, origin: str, /, *, run_id: str = "") -> str:
        """Begin a run that keeps what Succeeded in run `origin`, and what was Skipped for a reason that
        still holds, and does the rest again; return its id once it is stored.

        Raises NotFound, InvalidState `run-active` for a run that is not over, Refused `nothing-to-retry`,
        and NotSupported `no-fork`.
        """
        self._must_run("retry")
        now, plan = await self._point(origin, None)
        if not now.run.phase.is_terminal:
            raise _not_over(now.run)
        at = max(self._clock.now(), now.run.decided_at)
        kept = keep_succeeded(plan, now, at)
        if kept.tasks and not kept.patches:
            raise _all_succeeded(now.run)
        row = _new_row(now.run, run_id or self._new_id(now.run), at, "retry", "")
        return await self._begin_fork(row, now.run, plan, kept, at, binds=False)

    async def fork_each(
        self,
        query: RunQuery,
        *,
        from_task: str = "",
        from_seq: int | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as above
        arguments: Mapping[str, Any] | None = None,
    ) -> list[Forked]:
        """`fork` for every run of a query, oldest first, whatever its cursor and limit: what became of
        each. One that cannot be forked keeps none of the others from it."""
        self._must_run("fork_each")
        told = []
        for origin in await _ids_of(self._store, query):
            try:
                made = await self.fork(
                    origin,
                    from_task=from_task,
                    from_seq=from_seq,
                    set=set,
                    arguments=arguments,
                )
                told.append(Forked(origin, made))
            except ProblemError as error:
                told.append(Forked(origin, problem=error.problems[0]))
        return told

    async def retry_each(self, query: RunQuery) -> list[Forked]:
        """`retry` for every run of a query, likewise."""
        self._must_run("retry_each")
        told = []
        for origin in await _ids_of(self._store, query):
            try:
                told.append(Forked(origin, await self.retry(origin)))
            except ProblemError as error:
                told.append(Forked(origin, problem=error.problems[0]))
        return told

    # Inside

    def _must_run(self, call: str) -> None:
        raise NotImplementedError

    async def _point(self, run_id: str, seq: int | None) -> tuple[RunRows, Plan]:
        """The rows there, with the head of the log there, and the plan by which to go on."""
        await self._runs.write_now(run_id)
        now = await rows_at(self._store, run_id, seq)
        if now.run.tier == MEMORY:
            raise _nothing_kept(now.run)
        if seq is not None:
            [entry] = await self._store.history(run_id, seq - 1, 1)
            now.run.head = head_of(entry.body)
        plan = self._documents.known_plan(now.run.document)
        if plan is None:
            text = await self._store.document(now.run.document)
            if text is None:
                raise NotFound(
                    Problem("document-lost", f"the document of run {run_id} is not stored")
                )
            plan = await self._documents.plan_of(now.run.document, text)
        if not isinstance(plan, Plan):
            raise _no_document(now.run)
        return now, plan

    def _new_id(self, origin: RunRow) -> str:
        return self._ids.generate("Workflow", origin.name)

    def _given(
        self, plan: Plan, rows: RunRows, ordinal: int, arguments: Mapping[str, Any]
    ) -> bytes | None:
        slots = {slot.name: slot for slot in task_spec(plan, rows, ordinal).binding.slots}
        values: list[NamedValue] = []
        problems: list[Problem] = []
        for name, value in arguments.items():
            slot = slots.get(name)
            declared = slot.type if slot else ""
            if slot is not None and not fits(declared, value):
                problems.append(
                    Problem(
                        "argument-type",
                        f"input '{name}' is {type_name(value)}, declared is {declared}",
                        fix=f"give a value of type {declared}",
                    )
                )
            values.append(NamedValue(name, declared, value))
        if problems:
            raise Refused(problems)
        if not values:
            return None
        return self._sizes.resumed(encode_values(values), rows.tasks[ordinal].task_name)

    async def _begin_fork(
        self, row: RunRow, origin: RunRow, plan: Plan, kept: Kept, at: int, *, binds: bool
    ) -> str:
        if not (self._store.keeps_log and row.tier == ACTION_LOG):
            row.seq, row.head = 0, b""
        text = await self._store.document(origin.document)
        event = RunForked(row, kept.cut, kept.tasks, kept.patches, at, binds)
        await self._runs.begin(event, plan, (origin.document, text or b""))
        return row.run_id


async def forks_of(store: Store, run: RunRow) -> list[Fork]:
    """The forks of a run, and its retries, oldest first."""
    return (await forks_of_each(store, [run])).get(run.run_id, [])


async def forks_of_each(store: Store, runs: Sequence[RunRow]) -> dict[str, list[Fork]]:
    """The forks of those runs that have any."""
    roots = sorted({run.origin.root if run.origin else run.run_id for run in runs})
    named = {run.run_id: run for run in runs}
    found: dict[str, list[Fork]] = {}
    for row in await store.forks(roots) if roots else ():
        origin = row.origin
        if origin is None or origin.run_id not in named:
            continue
        if row.created_at >= named[origin.run_id].created_at:  # else another run had that id then
            told = Fork(run_id=row.run_id, kind=origin.kind, seq=origin.seq, task=origin.task)
            found.setdefault(origin.run_id, []).append(told)
    return found


async def _ids_of(store: Store, query: RunQuery) -> list[str]:
    """All of them before the first is forked: forks may be among the runs of the query."""
    query = msgspec.structs.replace(query, newest_first=False, after="", limit=_PAGE)
    found: list[str] = []
    while True:
        page = await store.runs(query)
        found += [run.run_id for run in page.runs]
        if not page.cursor:
            return found
        query = msgspec.structs.replace(query, after=page.cursor)


def find_task(plan: Plan, rows: RunRows, text: str) -> int:
    """The ordinal of the task run that `text` means: its id, its path, the end of its path, or its name.
    Raises NotFound, and Refused `ambiguous-task`."""
    current = current_tasks(plan, rows)
    parsed = parse_task_run_id(text)
    if parsed is not None and parsed[0] == rows.run.run_id and not parsed[2]:
        if parsed[1] in current:
            return parsed[1]
        raise _no_task(rows, text, parsed[1] in rows.tasks)
    paths = {ordinal: full_path(rows, rows.tasks[ordinal]) for ordinal in current}
    for matches in (
        [ordinal for ordinal, path in paths.items() if path == text],
        [ordinal for ordinal, path in paths.items() if path.endswith(f"/{text}")],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise _ambiguous(rows, text, [paths[each] for each in matches], matches)
    raise _no_task(rows, text, any(row.task_name == text for row in rows.tasks.values()))


def _new_row(run: RunRow, run_id: str, at: int, kind: str, task: str) -> RunRow:
    """Everything that is the same in the fork; the plan adds what it begins with."""
    root = run.origin.root if run.origin else run.run_id
    return RunRow(
        run_id=run_id,
        name=run.name,
        namespace=run.namespace,
        document=run.document,
        arguments=run.arguments,
        variables=run.variables,
        labels=run.labels,
        created_at=at,
        tier=run.tier,
        origin=Origin(run_id=run.run_id, seq=run.seq, root=root, kind=kind, task=task),
        warnings=run.warnings,
        seq=run.seq,
        head=run.head,
    )


def _placed(origin: Origin | None, kept: Kept) -> Origin | None:
    return None if origin is None else msgspec.structs.replace(origin, place=kept.again)


def _replaced(document: Workflow, arguments: bytes | None, changes: Mapping[str, Any]) -> bytes:
    checked = {value.name: value for value in decode_values(check_arguments(document, changes))}
    values = {value.name: value for value in decode_values(arguments)}
    return encode_values((values | checked).values())


def _which_point() -> Refused:
    return Refused(
        Problem(
            "bad-argument",
            "a fork begins at one point: from a task, or from a step",
            fix="give one of from_task and from_seq",
        )
    )


def _inputs_of_no_task() -> Refused:
    return Refused(
        Problem(
            "bad-argument",
            "inputs are for the task that a fork begins from, and this one begins from a step",
            fix="give from_task; what the whole workflow was given is replaced by set",
        )
    )


def _over_there(run_id: str, seq: int) -> Refused:
    return Refused(
        Problem(
            "nothing-to-fork",
            f"run {run_id} was over at step {seq}: nothing would be left to do",
            fix="fork it from an earlier step, which the log lists, or from a task",
        )
    )


def _all_succeeded(run: RunRow) -> Refused:
    return Refused(
        Problem(
            "nothing-to-retry",
            f"run {run.run_id} is {run.phase}, and nothing of it is to be done again",
            fix="fork it from the task that is to run again",
        )
    )


def _not_over(run: RunRow) -> InvalidState:
    return InvalidState(
        Problem(
            "run-active",
            f"run {run.run_id} is {run.phase}",
            fix="cancel it first, or wait until it is over; `fork` takes a run that is not",
        )
    )


def _nothing_kept(run: RunRow) -> NotSupported:
    return NotSupported(
        Problem(
            "no-fork",
            f"nothing of run {run.run_id} is kept: it has tier `{run.tier}`",
            fix="submit runs that are to be forked with tier `snapshot` or `state-action-log`",
        )
    )


def _no_document(run: RunRow) -> NotSupported:
    return NotSupported(
        Problem(
            "no-fork",
            f"run {run.run_id} is one of a Python function, which decides for itself how to go on",
            fix="start the function again with the arguments it had",
        )
    )


def _no_task(rows: RunRows, text: str, is_past: bool) -> NotFound:
    run_id = rows.run.run_id
    what = f"run {run_id} has no task run '{text}'"
    fix = "take a name, path or id from `show`; a task that was never reached has none"
    if is_past:
        what = f"task run '{text}' of run {run_id} belongs to an attempt that is over"
        fix = "fork from a task of the present attempt, or from a step of the past one"
    return NotFound(Problem("task-not-found", what, fix=fix))


def _ambiguous(
    rows: RunRows, text: str, paths: Sequence[str], ordinals: Collection[int]
) -> Refused:
    several = [
        f"{path} ({rows.run.run_id}.{ordinal})"
        for path, ordinal in zip(paths, ordinals, strict=True)
    ]
    more = ", …" if len(several) > _LISTED else ""
    return Refused(
        Problem(
            "ambiguous-task",
            f"several task runs are called '{text}': {', '.join(several[:_LISTED])}{more}",
            fix="give the path or the id of one",
        )
    )
