"""Crons: documents that submit runs by the clock.

In: checked CronWorkflows, ticks of a CronScheduler, the ends of runs. Out: runs, submitted through a
callable that the engine hands in. Never: a decision about a run, or a clock of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from ..document import CronWorkflow
from ..errors import CommitUnknown, NotFound, Problem, Refused, StoreError, TokenMismatch
from ..ports import (
    Clock,
    CronExecution,
    CronScheduler,
    ErrorSink,
    Execution,
    FireAnswer,
    IdGenerator,
    Store,
)
from ..record import CronRow, Instant
from . import cron_rules as rules
from .cron_clock import CronClock
from .cron_fires import Claim, CronFires, SubmitRun


class Crons:
    """The engine's cron calls. `run_ended` is to be told when a run of a cron is over.

    Everything about one cron happens one after another here; between engines its row's token decides.
    """

    def __init__(
        self,
        *,
        store: Store,
        scheduler: CronScheduler,
        clock: Clock,
        ids: IdGenerator,
        errors: ErrorSink,
        submit: SubmitRun,
        cancel: Callable[[str], Awaitable[object]],
        get: Callable[[str], Awaitable[Execution]],
        delete: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self._store = store
        self._wall = clock
        self._ids = ids
        self._get = get
        self._fires = CronFires(
            store=store,
            scheduler=scheduler,
            clock=clock,
            errors=errors,
            submit=submit,
            cancel=cancel,
            delete=delete or store.delete,
        )
        self._clock = CronClock(self._fires, store, scheduler, clock, errors)

    async def start(self) -> None:
        """Start the scheduler, take up every stored cron, and make up for what `catchUp` wants."""
        await self._clock.start()

    async def refresh(self) -> None:
        """Bring the schedule into line with the store: other engines add, change and delete crons too.

        Fires that were claimed and not submitted, or missed, are taken up in the background.
        """
        await self._clock.refresh()

    async def stop(self) -> None:
        """Fire nothing more. What is being submitted is given a moment; a claim left over is taken up
        by the next start. Idempotent."""
        await self._clock.stop()

    async def drain(self) -> None:
        """Wait until no fire and no clean-up is in progress."""
        await self._clock.drain()

    def run_ended(self, cron_id: str) -> None:
        """Look at the history limits soon. Many ends at once cost one look."""
        self._clock.tidy_soon(cron_id)

    async def submit_cron(self, document: CronWorkflow, cron_id: str = "") -> str:
        """Store the cron and schedule it. Raises Refused `bad-schedule`, `unknown-timezone`, and
        `cron-exists` for a `cron_id` that is taken."""
        policy = rules.policy_of(document.spec)
        now = self._wall.now()
        following = self._fires.following(policy, now)
        cron_id = cron_id or self._ids.generate("CronWorkflow", document.metadata.name)
        row = CronRow(
            cron_id=cron_id,
            name=document.metadata.name,
            namespace=document.metadata.namespace,
            document=msgspec.json.encode(document),
            created_at=now,
            next_fire_at=None if document.spec.suspend else following,
            suspended=document.spec.suspend,
        )
        try:
            await self._store.put_cron(row, None)
        except TokenMismatch as exc:
            raise Refused(
                Problem(
                    "cron-exists",
                    f"there is a cron '{cron_id}' already",
                    fix="choose another id, or use an id generator whose ids are new for this store",
                )
            ) from exc
        self._clock.arm(row)
        return cron_id

    async def get_cron(self, cron_id: str) -> CronExecution:
        """The cron with its runs, oldest first; a run that is deleted meanwhile is left out."""
        view = self._view(await self._fires.row(cron_id))
        runs = []
        for run in await self._fires.runs(cron_id):
            try:
                runs.append(await self._get(run.run_id))
            except NotFound:
                continue
        view.runs = runs
        return view

    async def list_crons(self) -> list[CronExecution]:
        """Every cron, by id, without its runs."""
        return [self._view(row) for row in await self._store.crons()]

    async def get_document(self, cron_id: str) -> CronWorkflow:
        """The cron's document, as it was submitted or last updated."""
        return self._fires.known(await self._fires.row(cron_id)).document

    async def update_cron(self, cron_id: str, document: CronWorkflow) -> None:
        """Replace the document. Its workflowSpec must say what the stored one says: Refused
        `cron-spec-changed`. What was missed under the old schedule is not made up for."""
        async with self._clock.lock(cron_id):
            policy = rules.policy_of(document.spec)
            spec = rules.canonical(document.spec.workflow_spec)

            def edit(row: CronRow) -> CronRow:
                stored = self._fires.known(row).document.spec.workflow_spec
                if rules.canonical(stored) != spec:
                    raise Refused(
                        Problem(
                            "cron-spec-changed",
                            f"the workflowSpec of cron '{cron_id}' cannot change",
                            fix="leave spec.workflowSpec as it was submitted, or delete this cron "
                            "and submit a new one",
                        )
                    )
                now = self._wall.now()
                following = self._fires.following(policy, now)
                return replace(
                    row,
                    name=document.metadata.name,
                    namespace=document.metadata.namespace,
                    document=msgspec.json.encode(document),
                    suspended=document.spec.suspend,
                    next_fire_at=None if document.spec.suspend else following,
                    updated_at=now,
                )

            row = await self._fires.change(cron_id, edit)
            self._clock.disarm(cron_id)
            self._clock.arm(row)

    async def delete_cron(self, cron_id: str) -> None:
        """Forget the cron. Its runs stay, and go on."""
        async with self._clock.lock(cron_id):
            await self._fires.row(cron_id)
            self._clock.disarm(cron_id)
            await self._store.delete_cron(cron_id)
            self._fires.forget(cron_id)
        self._clock.forget(cron_id)

    async def suspend_cron(self, cron_id: str) -> None:
        """No fire from now on, by the clock or by hand. Runs go on. Idempotent."""
        await self._set_suspended(cron_id, True)

    async def resume_cron(self, cron_id: str) -> None:
        """Fire again, from the next fire on: what passed meanwhile is not missed. Idempotent."""
        await self._set_suspended(cron_id, False)

    async def _set_suspended(self, cron_id: str, suspended: bool) -> None:
        async with self._clock.lock(cron_id):

            def edit(row: CronRow) -> CronRow | None:
                if row.suspended == suspended:
                    return None
                now = self._wall.now()
                following = self._fires.following(self._fires.known(row).policy, now)
                return replace(
                    row,
                    suspended=suspended,
                    next_fire_at=None if suspended else following,
                    updated_at=now,
                )

            row = await self._fires.change(cron_id, edit)
            self._clock.arm(row)

    async def trigger_cron(self, cron_id: str, at: Instant | None = None) -> FireAnswer:
        """Fire once, now, whatever the schedule says; the other rules of the cron hold.

        With `at` the fire stands for that instant, which has one run at most: if that exists, it is
        the answer. A run that is refused raises what `submit` raised.
        """
        async with self._clock.lock(cron_id):
            row = await self._fires.row(cron_id)
            if at is None:
                claim = Claim(self._ids.generate("Workflow", row.name), self._wall.now())
            else:
                claim = Claim(rules.fire_run_id(cron_id, at), at)
            return await self._by_hand(cron_id, claim)

    async def backfill_cron(
        self,
        cron_id: str,
        start: Instant,
        end: Instant,
        limit: int = rules.BACKFILL_LIMIT,
    ) -> list[FireAnswer]:
        """Fire for every instant of the schedule in [`start`, `end`], oldest first, by the cron's rules.

        An instant whose run exists is answered with that run. Raises Refused `bad-window`, and
        `backfill-too-long` when there are more than `limit`; nothing is fired then.
        """
        async with self._clock.lock(cron_id):
            policy = self._fires.known(await self._fires.row(cron_id)).policy
            if start > end or end > self._wall.now():
                what = "ends before it starts" if start > end else "ends in the future"
                raise Refused(
                    Problem(
                        "bad-window",
                        f"the window to backfill {what}",
                        fix="give a start and an end that have passed, the start first",
                    )
                )
            fires, more = rules.fires_between(self._fires.next_fire(policy), start, end, limit)
            if more:
                raise Refused(
                    Problem(
                        "backfill-too-long",
                        f"cron '{cron_id}' fires more than {limit} times in that window",
                        fix="backfill a shorter window, or raise the limit",
                    )
                )
            return [
                await self._by_hand(cron_id, Claim(rules.fire_run_id(cron_id, at), at))
                for at in fires
            ]

    async def _by_hand(self, cron_id: str, claim: Claim) -> FireAnswer:
        await self._fires.claim(cron_id, [claim], scheduled=False)
        try:
            dealt = await self._fires.work_off(cron_id)
        except StoreError as exc:
            raise CommitUnknown(
                f"cron '{cron_id}' is to fire, but the store stopped answering: run '{claim.run_id}' "
                "may exist, or will when the cron is looked at next"
            ) from exc
        self._clock.report(dealt, but=claim.run_id)
        self.run_ended(cron_id)
        if (mine := dealt.get(claim.run_id)) is not None:
            if mine.error is not None:
                raise mine.error
            return mine.answer
        # Another engine worked our claim off with its own.
        exists = await self._store.run(claim.run_id) is not None
        return FireAnswer(
            cron_id=cron_id,
            fire_at=claim.fire_at,
            run_id=claim.run_id if exists else "",
            reason="" if exists else "another engine has dealt with this fire",
        )

    def _view(self, row: CronRow) -> CronExecution:
        policy = self._fires.known(row).policy
        show = rules.show_instant
        return CronExecution(
            cron_id=row.cron_id,
            name=row.name,
            schedule=policy.schedule,
            timezone=policy.timezone,
            suspended=row.suspended,
            last_schedule_at=None if row.last_schedule_at is None else show(row.last_schedule_at),
            last_run_id=row.last_run_id,
            next_fire_at=None if row.next_fire_at is None else show(row.next_fire_at),
        )
