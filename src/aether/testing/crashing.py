"""crash_at_every_step: a workflow whose process is killed after each thing that it records.

In: a workflow and its arguments. Out: what came of it, the same however it died. Never: a step that is on
record, executed again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

import msgspec

from ..app import Aether
from ..errors import (
    AetherError,
    NotFound,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowTimedOut,
)
from ..flow import plain
from ..ports import Store
from ..record import ACTION_LOG, MEMORY, RunRows, task_run_id
from ..sdk import Handle, Workflow
from ..sdk.functions import Served
from .environment import Environment
from .seeds import a_seed

Prepare = Callable[[Environment], Awaitable[object]]
RUN_ID = "crash-test"


class CrashReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the workflow came to: `result`, or `error` when it failed. `crashes` is how often its process
    was killed, `commits` how many things one whole life records."""

    result: Any
    error: str
    commits: int
    crashes: int
    seed: int


class _Trial(msgspec.Struct):
    """One run with one death. `recorded` is what stood on record then, `repeated` what of that was called
    again all the same."""

    result: Any = None
    error: str = ""
    commits: int = 0
    died: bool = False
    recorded: set[str] = set()
    before: int = 0  # calls before its death
    repeated: list[str] = []


async def crash_at_every_step(
    workflow: Workflow[..., Any] | Any,
    *args: Any,
    url: str | Callable[[], Store] = "memory:",
    tier: str = ACTION_LOG,
    serve: tuple[Aether | Served, ...] = (),
    signals: Mapping[str, Any] | None = None,
    fakes: Mapping[str, Any] | None = None,
    same: Callable[[Any, Any], bool] | None = None,
    before: Callable[[], object] | None = None,
    prepare: Prepare | None = None,
    most: int = 200,
    seed: int | None = None,
    **options: Any,
) -> CrashReport:
    """Run `workflow` once, then again and again: each time its process is killed after one more thing it
    records, while what comes next is under way, and another process goes on. Asserts that every run ends
    as the first did, and that nothing which was on record is executed again.

    `before` is called ahead of each run, to put what the workflow changes outside back to its beginning,
    and `prepare` with the environment, to bring templates and the like.
    `same(first, other)` compares results, where `==` is not what is meant. `signals`, `fakes` and `options`
    are those of Environment, `serve` more apps and functions that it needs. `url` names a store that is
    this test's own: a SQLite file, a database, or a function that makes the store. Of more than `most`
    places to die so many are chosen, by `seed`.
    On tier `memory` the run is lost with its process: it is begun again, and only the result is compared.
    """
    seed = a_seed(seed)

    async def trial(left: int | None) -> _Trial:
        if before is not None:
            before()
        env = Environment(
            *serve,
            url=url,
            tier=tier,
            signals=signals,
            fakes=fakes,
            seed=seed,
            **options,
        )
        return await _one_run(env, workflow, args, left, prepare)

    whole = await trial(None)
    places = list(range(1, whole.commits + 1))
    if len(places) > most:
        places = sorted(Random(seed).sample(places, most))  # noqa: S311 - a choice that can be repeated
    crashes = 0
    for left in places:
        again = await trial(left)
        crashes += again.died
        _compare(whole, again, left, seed, same)
        if again.repeated and tier != MEMORY:
            raise AssertionError(
                f"killed after commit {left} of {whole.commits}, it executed again what was on record: "
                f"{', '.join(again.repeated)} (seed {seed})"
            )
    return CrashReport(
        result=whole.result, error=whole.error, commits=whole.commits, crashes=crashes, seed=seed
    )


async def _one_run(
    env: Environment,
    workflow: Any,
    args: tuple[Any, ...],
    left: int | None,
    prepare: Prepare | None,
) -> _Trial:
    trial = _Trial()
    async with env:
        if prepare is not None:
            await prepare(env)
        already = env.life.commits
        env.life.left = None if left is None else already + left
        while True:
            try:
                handle: Handle[Any] = await env.start(workflow, *args, id=RUN_ID)
                trial.result = await handle.result()
            except AetherError as error:
                if env.died:
                    await _go_on(env, trial)
                    continue
                if isinstance(error, NotFound):
                    continue  # it was lost with its process
                if not isinstance(error, WorkflowFailed | WorkflowCancelled | WorkflowTimedOut):
                    raise
                trial.error = f"{type(error).__name__}: {_words(error)}"
            break
        trial.commits = env.life.commits - already
        calls = env.calls[trial.before :] if trial.died else []
        called = {f"{run_id} {what}" for run_id, what, _ in calls}
        trial.repeated = sorted(called & trial.recorded)
        await _clear(env)
    return trial


async def _go_on(env: Environment, trial: _Trial) -> None:
    """Another process, and what it finds on record."""
    await env.kill()
    trial.died = True
    trial.recorded = _ended(await env.record())
    trial.before = len(env.calls)
    await env.restart()


def _words(error: AetherError) -> str:
    """Without lines of code, which are those of one attempt."""
    return str(getattr(error, "message", "") or error).splitlines()[0]


def _ended(record: list[RunRows]) -> set[str]:
    """Steps and activities that are over, by what `env.calls` calls them."""
    found = set()
    for rows in record:
        run_id = rows.run.run_id
        for row in rows.tasks.values():
            if not row.phase.is_terminal:
                continue
            if row.kind == "step":
                found.add(f"{run_id} {row.task_name} {row.scope}")
            elif row.kind in ("activity", "task"):
                found.add(f"{run_id} {row.executor} {task_run_id(run_id, row.ordinal)}")
    return found


async def _clear(env: Environment) -> None:
    """The next run has the same ids, on a store that may be the same."""
    if env.died:
        return
    for run_id in list(env.runs):
        with suppress(AetherError):
            await env.app.engine.delete(run_id)


def _compare(
    whole: _Trial, again: _Trial, left: int, seed: int, same: Callable[[Any, Any], bool] | None
) -> None:
    if again.error == whole.error and (
        same(whole.result, again.result) if same is not None else _equal(whole.result, again.result)
    ):
        return
    expected, found = whole.error or repr(whole.result), again.error or repr(again.result)
    raise AssertionError(
        f"killed after commit {left} of {whole.commits}, it came to {found} instead of {expected} "
        f"(seed {seed})"
    )


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or plain(one) == plain(other)
