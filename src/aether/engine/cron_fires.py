"""How a fire of a cron becomes a run, once, whoever dies on the way.

A fire is first *claimed*: written into the cron's row under its token, so that of several engines one
gets it. Then everything claimed is *worked off*, oldest first: judged, submitted under an id that
follows from the fire, struck out. An engine that dies in between leaves the claim behind, and the next
one to look at the cron works it off; submitting twice is harmless because the id is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
from msgspec.structs import replace

from ..document import CronWorkflow, Workflow
from ..errors import (
    AetherError,
    EngineBug,
    InvalidState,
    NotFound,
    Problem,
    ProblemError,
    StoreError,
    TokenMismatch,
)
from ..ports import Clock, CronScheduler, ErrorSink, Fault, FireAnswer, RunQuery, Store
from ..record import CronRow, Instant, Phase, RunRow
from . import cron_rules as rules

CRON_NOT_FOUND = "cron-not-found"
_TRIES = 50
_LIVE = tuple(phase for phase in Phase if not phase.is_terminal)
_TERMINAL = tuple(phase for phase in Phase if phase.is_terminal)


class SubmitRun(Protocol):
    """Submits a run under the given id. Idempotent by id: a run that exists is left alone."""

    async def __call__(
        self, document: Workflow, *, run_id: str, cron_id: str, fire_at: Instant
    ) -> str: ...


class Claim(msgspec.Struct, frozen=True):
    """One fire to be dealt with. `due_at` is set when the clock asked for it: then it can be too late."""

    run_id: str
    fire_at: Instant
    due_at: Instant | None = None


class Known(msgspec.Struct, frozen=True):
    """A cron's document, decoded."""

    text: bytes
    document: CronWorkflow
    policy: rules.Policy


class Dealt(msgspec.Struct):
    """What became of a claim; `error` is what `submit` raised."""

    answer: FireAnswer
    error: Exception | None = None


class CronFires:
    """Everything about one fire. Calls for one cron must come one after another; engines may race."""

    def __init__(
        self,
        *,
        store: Store,
        scheduler: CronScheduler,
        clock: Clock,
        errors: ErrorSink,
        submit: SubmitRun,
        cancel: Callable[[str], Awaitable[object]],
        delete: Callable[[str], Awaitable[object]],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._errors = errors
        self._submit = submit
        self._cancel = cancel
        self._delete = delete
        self._known: dict[str, Known] = {}

    def known(self, row: CronRow) -> Known:
        known = self._known.get(row.cron_id)
        if known is None or known.text != row.document:
            document = msgspec.json.decode(row.document, type=CronWorkflow)
            known = Known(row.document, document, rules.policy_of(document.spec))
            self._known[row.cron_id] = known
        return known

    def forget(self, cron_id: str) -> None:
        self._known.pop(cron_id, None)

    def next_fire(self, policy: rules.Policy) -> rules.NextFire:
        return lambda after: self._scheduler.next_fire(policy.schedule, policy.timezone, after)

    def following(self, policy: rules.Policy, after: Instant) -> Instant | None:
        """The cron's first fire after `after`, within its window."""
        return rules.next_wanted(policy, self.next_fire(policy), after)

    async def row(self, cron_id: str) -> CronRow:
        row = await self._store.cron(cron_id)
        if row is None:
            raise NotFound(
                Problem(
                    CRON_NOT_FOUND,
                    f"there is no cron '{cron_id}'",
                    fix="list the crons to see their ids; a deleted cron keeps only its runs",
                )
            )
        return row

    async def change(self, cron_id: str, edit: Callable[[CronRow], CronRow | None]) -> CronRow:
        """Edit the row under its token, again as long as others change it; None leaves it as it is.

        Raises NotFound `cron-not-found`.
        """
        for _ in range(_TRIES):
            row = await self.row(cron_id)
            edited = edit(row)
            if edited is None:
                return row
            try:
                token = await self._store.put_cron(edited, row.token)
            except TokenMismatch:
                continue
            return replace(edited, token=token)
        raise TokenMismatch(f"cron '{cron_id}' changed {_TRIES} times while it was being changed")

    async def claim(self, cron_id: str, claims: Sequence[Claim], *, scheduled: bool) -> None:
        """Write the claims down. Of scheduled ones only those that nobody has claimed before."""

        def edit(row: CronRow) -> CronRow | None:
            last = rules.last_fire(row, self._clock.now())
            held = {entry[0] for entry in row.pending}
            wanted = [
                claim
                for claim in claims
                if claim.run_id not in held
                and not (scheduled and last is not None and claim.fire_at <= last)
            ]
            if not wanted:
                return None
            entries = tuple((claim.run_id, claim.fire_at, claim.due_at) for claim in wanted)
            if not scheduled:
                return replace(row, pending=row.pending + entries)
            newest = wanted[-1].fire_at
            return replace(
                row,
                pending=row.pending + entries,
                last_fire_at=newest,
                next_fire_at=self.following(self.known(row).policy, max(newest, self._clock.now())),
            )

        await self.change(cron_id, edit)

    async def work_off(self, cron_id: str) -> dict[str, Dealt]:
        """Deal with everything claimed: what became of each, by run id."""
        dealt: dict[str, Dealt] = {}
        while (row := await self._store.cron(cron_id)) is not None and row.pending:
            run_id, fire_at, due_at = row.pending[0]
            done = await self._perform(row, Claim(run_id, fire_at, due_at))
            dealt[run_id] = done
            # A run that stood there already is this fire's own, unless somebody asked for it by hand.
            made = bool(done.answer.run_id) and (not done.answer.reason or due_at is not None)
            await self._strike_out(cron_id, run_id, made=made)
        return dealt

    async def _perform(self, row: CronRow, claim: Claim) -> Dealt:
        known = self.known(row)
        reason = self._refusal(row, known.policy, claim)
        if not reason and await self._store.run(claim.run_id) is not None:
            # Left by an engine that died before it could strike the claim out, or backfilled before.
            return Dealt(self._answer(row, claim, claim.run_id, "the run of this fire exists"))
        if not reason:
            active = await self._active(row.cron_id)
            verdict = rules.judge(
                known.policy, [run_id for run_id in active if run_id != claim.run_id]
            )
            for run_id in verdict.cancel:
                await self._replace(row.cron_id, run_id)
            reason = verdict.reason
        if reason:
            return Dealt(self._answer(row, claim, "", reason))
        document = Workflow(
            api_version=known.document.api_version,
            metadata=known.document.metadata,
            spec=known.document.spec.workflow_spec,
        )
        try:
            run_id = await self._submit(
                document, run_id=claim.run_id, cron_id=row.cron_id, fire_at=claim.fire_at
            )
        except StoreError:
            raise  # the claim stays, and is worked off when the store answers again
        except Exception as exc:  # noqa: BLE001  a claim that can never succeed must not block the cron
            what = (
                exc.problems[0].what
                if isinstance(exc, ProblemError)
                else f"{type(exc).__name__}: {exc}"
            )
            return Dealt(self._answer(row, claim, "", f"the run was refused: {what}"), exc)
        if run_id != claim.run_id:
            raise EngineBug(f"run '{claim.run_id}' of a cron was submitted as '{run_id}'")
        return Dealt(self._answer(row, claim, run_id, ""))

    def _refusal(self, row: CronRow, policy: rules.Policy, claim: Claim) -> str:
        if row.suspended:
            return "the cron is suspended"
        late = ""
        if claim.due_at is not None:
            late = rules.too_late(policy, claim.due_at, self._clock.now())
        return rules.outside_window(policy, claim.fire_at) or late

    @staticmethod
    def _answer(row: CronRow, claim: Claim, run_id: str, reason: str) -> FireAnswer:
        return FireAnswer(cron_id=row.cron_id, fire_at=claim.fire_at, run_id=run_id, reason=reason)

    async def _replace(self, cron_id: str, run_id: str) -> None:
        try:
            await self._cancel(run_id)
        except (InvalidState, NotFound):
            return  # it ended meanwhile, which is what was wanted
        except AetherError as exc:
            fault = Fault(
                operation="replace a cron's run",
                what=f"run '{run_id}' of cron '{cron_id}' could not be cancelled: {exc}",
                next="the new run starts beside it",
                run_id=run_id,
            )
            self._errors.on_error(fault, exc)

    async def _strike_out(self, cron_id: str, run_id: str, *, made: bool) -> None:
        def edit(row: CronRow) -> CronRow | None:
            rest = tuple(entry for entry in row.pending if entry[0] != run_id)
            if len(rest) == len(row.pending):
                return None  # another engine was quicker
            if not made:
                return replace(row, pending=rest)
            now = self._clock.now()
            return replace(row, pending=rest, last_schedule_at=now, last_run_id=run_id)

        try:
            await self.change(cron_id, edit)
        except NotFound:
            return  # the cron was deleted meanwhile; its runs stay

    async def tidy(self, cron_id: str) -> int | None:
        """Delete the runs beyond the history limits; how many. A deleted cron's runs stay: None."""
        row = await self._store.cron(cron_id)
        if row is None:
            return None
        runs = await self.runs(cron_id, _TERMINAL, newest_first=True)
        spare = [entry[0] for entry in row.pending]
        doomed = rules.runs_to_delete(self.known(row).policy, runs, spare)
        for run_id in doomed:
            with suppress(
                NotFound, InvalidState
            ):  # another engine was quicker, or is not done with it
                await self._delete(run_id)
        return len(doomed)

    async def _active(self, cron_id: str) -> list[str]:
        return [run.run_id for run in await self.runs(cron_id, _LIVE)]

    async def runs(
        self, cron_id: str, phases: tuple[Phase, ...] = (), *, newest_first: bool = False
    ) -> list[RunRow]:
        found: list[RunRow] = []
        cursor = ""
        while True:
            page = await self._store.runs(
                RunQuery(cron_id=cron_id, phases=phases, newest_first=newest_first, after=cursor)
            )
            found += page.runs
            cursor = page.cursor
            if not cursor:
                return found
