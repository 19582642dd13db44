"""The side of crons that the clock drives: arming, jitter, retries, catching up, tidying."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

from ..errors import NotFound, StoreError
from ..ports import Clock, CronScheduler, ErrorSink, Fault, Handle, Store
from ..record import CronRow, Instant
from . import cron_rules as rules
from .cron_fires import CRON_NOT_FOUND, Claim, CronFires, Dealt

_FIRST_RETRY = 1_000_000
_LONGEST_RETRY = 60_000_000
_STOP_SECONDS = 5.0

Work = Callable[[], Coroutine[None, None, None]]


class CronClock:
    """Work on one cron is done under its lock, one after another; what fails for the store's sake is
    tried again, ever more slowly, as long as the clock runs."""

    def __init__(
        self,
        fires: CronFires,
        store: Store,
        scheduler: CronScheduler,
        clock: Clock,
        errors: ErrorSink,
    ) -> None:
        self._fires = fires
        self._store = store
        self._scheduler = scheduler
        self._clock = clock
        self._errors = errors
        self._armed: dict[str, rules.Policy] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._timers: dict[str, set[Handle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._to_tidy: set[str] = set()
        self._stopped = False

    async def start(self) -> None:
        self._scheduler.start()
        self._stopped = False
        await self.refresh()

    async def refresh(self) -> None:
        armed = dict(self._armed)  # as it was before the look: what is added meanwhile is not gone
        rows = await self._store.crons()
        for cron_id in set(armed) - {row.cron_id for row in rows}:
            self.forget(cron_id)
        for row in rows:
            policy = self._fires.known(row).policy
            fresh = armed.get(row.cron_id) != policy
            if fresh or row.suspended:
                await self._arm_anew(row.cron_id)
            self._take_up(row, policy, fresh)

    async def _arm_anew(self, cron_id: str) -> None:
        async with self.lock(cron_id):
            row = await self._store.cron(cron_id)
            if row is not None:
                self.arm(row)

    def _take_up(self, row: CronRow, policy: rules.Policy, fresh: bool) -> None:
        """Fires that an earlier life of the engine left behind, or another engine that died."""
        now, next_fire = self._clock.now(), self._fires.next_fire(policy)
        after = rules.considered_until(row, now)
        missed: list[Instant] = []
        if not row.suspended:
            if policy.jitter:
                # A fire that is only being put off was not missed, whatever `catchUp` says.
                recent = max(after, now - policy.jitter)
                for fire_at in rules.newest_fires(next_fire, recent, now, 1):
                    if self._due_at(row.cron_id, policy, fire_at) > now:
                        now = fire_at - 1
                        if fresh:
                            self._put_off(row.cron_id, policy, fire_at)
            missed = rules.missed_fires(policy, next_fire, after, now)
        if missed or row.pending:
            self._do(row.cron_id, partial(self._fire, row.cron_id, missed))

    async def stop(self) -> None:
        self._stopped = True
        self._scheduler.stop()
        for timers in self._timers.values():
            for timer in timers:
                timer.cancel()
        self._timers.clear()
        self._armed.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def drain(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def lock(self, cron_id: str) -> asyncio.Lock:
        return self._locks.setdefault(cron_id, asyncio.Lock())

    def forget(self, cron_id: str) -> None:
        """The cron is deleted."""
        self.disarm(cron_id)
        self._fires.forget(cron_id)
        self._locks.pop(cron_id, None)

    def arm(self, row: CronRow) -> None:
        policy = self._fires.known(row).policy
        if self._stopped:
            return
        if row.suspended or self._fires.following(policy, self._clock.now()) is None:
            self.disarm(row.cron_id)
            return
        self._armed[row.cron_id] = policy
        self._scheduler.add(
            row.cron_id,
            policy.schedule,
            policy.timezone,
            partial(self._on_fire, row.cron_id),
            policy.start_at,
        )

    def disarm(self, cron_id: str) -> None:
        self._armed.pop(cron_id, None)
        self._scheduler.remove(cron_id)
        for timer in self._timers.pop(cron_id, ()):
            timer.cancel()

    def _on_fire(self, cron_id: str, fire_at: Instant) -> None:
        policy = self._armed.get(cron_id)
        if policy is None:
            return
        if self._due_at(cron_id, policy, fire_at) > self._clock.now():
            self._put_off(cron_id, policy, fire_at)
        else:
            self._do(cron_id, partial(self._tick, cron_id, fire_at))
        if policy.end_at is not None and self._fires.following(policy, fire_at) is None:
            self._scheduler.remove(cron_id)

    def _due_at(self, cron_id: str, policy: rules.Policy, fire_at: Instant) -> Instant:
        if not policy.jitter:
            return fire_at
        following = self._fires.next_fire(policy)(fire_at)
        return fire_at + rules.jitter_delay(cron_id, fire_at, following, policy.jitter)

    def _put_off(self, cron_id: str, policy: rules.Policy, fire_at: Instant) -> None:
        tick = partial(self._tick, cron_id, fire_at)
        due_at = self._due_at(cron_id, policy, fire_at)
        at = partial(self._clock.call_at, due_at)
        self._call(cron_id, at, partial(self._do, cron_id, tick))

    def _call(
        self, cron_id: str, when: Callable[[Callable[[], None]], Handle], call: Callable[[], None]
    ) -> None:
        if self._stopped:
            return
        timers = self._timers.setdefault(cron_id, set())

        def ring() -> None:
            timers.discard(handle)
            call()

        handle = when(ring)
        timers.add(handle)

    async def _tick(self, cron_id: str, fire_at: Instant) -> None:
        """The clock has reached a fire. What is true now stands in the store."""
        row = await self._store.cron(cron_id)
        if row is None or row.suspended:
            self.disarm(cron_id)  # another engine did that
            return
        policy, now = self._fires.known(row).policy, self._clock.now()
        next_fire = self._fires.next_fire(policy)
        if policy != self._armed.get(cron_id):
            self.arm(row)  # another engine changed it; the tick may be of the old schedule
            if next_fire(fire_at - 1) != fire_at:
                return
        last = rules.last_fire(row, now)
        after = fire_at - 1 if last is None else last
        await self._fire(cron_id, rules.due_fires(policy, next_fire, fire_at, after, now))

    async def _fire(self, cron_id: str, fires: list[Instant]) -> None:
        async with self.lock(cron_id):
            policy = self._fires.known(await self._fires.row(cron_id)).policy
            claims = [
                Claim(rules.fire_run_id(cron_id, at), at, self._due_at(cron_id, policy, at))
                for at in fires
            ]
            if claims:
                await self._fires.claim(cron_id, claims, scheduled=True)
            dealt = await self._fires.work_off(cron_id)
        self.report(dealt)
        if dealt:
            self.tidy_soon(cron_id)

    def report(self, dealt: Mapping[str, Dealt], but: str = "") -> None:
        """Nobody waits for these answers, so the sink hears of fires that made no run."""
        for run_id, done in dealt.items():
            answer = done.answer
            if answer.run_id or run_id == but:
                continue
            when = rules.show_instant(answer.fire_at).isoformat()
            fault = Fault(
                operation="fire a cron",
                what=f"cron '{answer.cron_id}' made no run for {when}: {answer.reason}",
                next="the cron fires again by its schedule",
                severity="error" if done.error else "info",
            )
            self._errors.on_error(fault, done.error)

    def tidy_soon(self, cron_id: str) -> None:
        if cron_id and cron_id not in self._to_tidy and not self._stopped:
            self._to_tidy.add(cron_id)
            self._do(cron_id, partial(self._tidy, cron_id))

    async def _tidy(self, cron_id: str) -> None:
        async with self.lock(cron_id):
            self._to_tidy.discard(cron_id)
            if await self._fires.tidy(cron_id) is None:
                self.forget(cron_id)

    def _do(self, cron_id: str, work: Work, wait: int = _FIRST_RETRY) -> None:
        """Carry out `work` in the background."""
        if self._stopped:
            return
        task = asyncio.get_running_loop().create_task(self._attempt(cron_id, work, wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, cron_id: str, work: Work, wait: int) -> None:
        try:
            await work()
        except StoreError as exc:
            again = partial(self._do, cron_id, work, min(wait * 2, _LONGEST_RETRY))
            self._call(cron_id, partial(self._clock.call_in, wait), again)
            what = f"the store does not answer for cron '{cron_id}': {exc}"
            self._report_error(what, f"it is tried again in {wait / 1_000_000:g} s", exc)
        except Exception as exc:  # noqa: BLE001  one cron's trouble must not reach the others
            if isinstance(exc, NotFound) and exc.code == CRON_NOT_FOUND:
                self.forget(cron_id)  # another engine deleted it
                return
            what = f"cron '{cron_id}' met {type(exc).__name__}: {exc}"
            then = "it is looked at again at its next fire, or when the engine starts"
            self._report_error(what, then, exc)

    def _report_error(self, what: str, then: str, error: Exception) -> None:
        fault = Fault(operation="look after a cron", what=what, next=then)
        self._errors.on_error(fault, error)
