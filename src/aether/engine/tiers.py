"""Durability tiers, as a store: who decides and who reads need not ask which tier a run has.

In: what every Store is told. Out: what a Store answers, from memory for runs of tier `memory` and for those
of tier `snapshot` while they move, from the durable store for all others. Never: a rule about phases.

A token below 0 is one of the store in memory, so that none of one store is ever valid in the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from ..errors import CommitUnknown, EngineBug, Problem, Refused, StoreUnavailable
from ..ports import (
    Clock,
    Commit,
    CommitOutcome,
    Committed,
    Conflict,
    DueRun,
    LogEntry,
    Page,
    Refusal,
    RunQuery,
    Store,
)
from ..record import (
    ACTION_LOG,
    MEMORY,
    SNAPSHOT,
    TIERS,
    CronRow,
    RunPatch,
    RunRow,
    RunRows,
    SchemaRow,
    TemplateRow,
    Token,
)
from .faults import Faults
from .merged import merged_runs, merged_unfinished
from .snapshots import Snapshots, Write, inside
from .tier_cluster import SharedTiers
from .unsaved import MOST, Held, only_waits

_CONFLICT = Conflict()


class Tiers(SharedTiers):
    """A Store over two: `durable`, and `volatile`, which is empty and nobody else's. `ahead` is how many
    rounds of decisions may go on while all that the durable store takes at once are on their way."""

    def __init__(
        self, durable: Store, volatile: Store, clock: Clock, faults: Faults, *, ahead: int = 0
    ) -> None:
        super().__init__()
        self._durable = durable
        self._volatile = volatile
        self._ahead = ahead
        self._snapshots = Snapshots(durable, volatile, clock, faults)
        self._held = self._snapshots.held

    @property
    def concurrency(self) -> int:
        return max(1, self._durable.concurrency) + self._ahead

    @property
    def keeps_log(self) -> bool:
        """Of runs of tier `state-action-log`; no other has one."""
        return self._durable.keeps_log

    @property
    def keeps_payloads(self) -> bool:
        """Whoever calls hands in whole values: memory shares them, and the durable store sees to it
        itself that large ones are kept once."""
        return False

    async def payloads(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        return {}

    async def collect(self, limit: int = 100) -> int:
        return await self._durable.collect(limit)

    def tier_of(self, row: RunRow) -> str:
        return row.tier

    async def open(self) -> None:
        await self._volatile.open()
        await self._durable.open()

    async def rest(self) -> None:
        """Everything of tier `snapshot` is written down, if that is possible, and no timer is left."""
        await self._snapshots.rest()

    async def close(self) -> None:
        await self._snapshots.rest()
        await self._durable.close()
        await self._volatile.close()

    # Commits

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        if not self._held and self._are_plain(batch):
            return await self._snapshots.write(batch, ())
        if len({commit.run_id for commit in batch}) < len(batch):
            return [(await self.commit([commit]))[0] for commit in batch]
        return await _Round(self, self._durable, self._volatile, self._snapshots).carry_out(batch)

    def _are_plain(self, batch: Sequence[Commit]) -> bool:
        for commit in batch:
            run = commit.run
            if type(run) is RunRow and self.tier_of(run) != ACTION_LOG:
                return False
        return True

    # Runs

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]:
        for run_id in run_ids:
            held = self._held.get(run_id)
            if held is not None and held.unsettled is not None:
                await self._snapshots.settle(held)
        rest = [run_id for run_id in run_ids if run_id not in self._held]
        far = iter(await self._durable.load(rest) if rest else ())
        strangers = set(rest)
        found: list[RunRows | None] = []
        for run_id in run_ids:
            rows = next(far) if run_id in strangers else None
            if rows is not None and self._is_to_adopt(rows):
                await self._adopt(rows)
            found.append(await self._near(run_id) if run_id in self._held else rows)
        return found

    def _is_to_adopt(self, rows: RunRows) -> bool:
        """Runs of other engines are only read: they move elsewhere."""
        run = rows.run
        ours = run.held_by == self._session
        return ours and self.tier_of(run) == SNAPSHOT and not _finished(rows)

    async def _near(self, run_id: str) -> RunRows | None:
        rows = (await self._volatile.load([run_id]))[0]
        if rows is not None:
            self._as_ours(rows.run)
        return rows

    def _as_ours(self, row: RunRow) -> RunRow:
        """A row of the store in memory, as it is to be seen outside."""
        row.token = -row.token
        held = self._held.get(row.run_id)
        row.claimed = 0 if held is None else held.claimed
        return row

    async def _adopt(self, rows: RunRows) -> None:
        """From here on the run moves in memory, from where its last snapshot left it."""
        run = rows.run
        text = await self._durable.document(run.document)
        if run.run_id in self._held:
            return
        held = Held.of(rows, saved=run.token)
        commit = Commit(
            run_id=run.run_id,
            expected=None,
            run=run,
            tasks=list(rows.tasks.values()),
            hooks=list(rows.hooks.values()),
            document=None if text is None else (run.document, text),
        )
        await self.hold(held, commit)

    async def hold(self, held: Held, commit: Commit) -> CommitOutcome:
        outcome = (await self._volatile.commit([commit]))[0]
        if isinstance(outcome, Committed):
            held.token = outcome.token
            if isinstance(commit.run, RunRow) and not held.held_by:
                held.held_by = commit.run.owner
            self._held[held.run_id] = held
            return Committed(-outcome.token)
        if held.saved is not None and isinstance(outcome, Conflict):
            raise EngineBug(f"run '{held.run_id}' is in memory, and nobody holds it")
        return outcome

    async def run(self, run_id: str) -> RunRow | None:
        if run_id not in self._held:
            return await self._durable.run(run_id)
        row = await self._volatile.run(run_id)
        return None if row is None else self._as_ours(row)

    async def document(self, digest: bytes) -> bytes | None:
        text = await self._volatile.document(digest)
        return await self._durable.document(digest) if text is None else text

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]:
        if not self._held:
            return await self._durable.unfinished(after, limit)
        newer = frozenset(self._held)
        return await merged_unfinished(self._volatile, self._durable, newer, after, limit)

    async def runs(self, query: RunQuery) -> Page:
        newer = frozenset(self._held)
        page = await merged_runs(self._volatile, self._durable, newer, query)
        for row in page.runs:
            if row.run_id in newer:
                self._as_ours(row)
        return page

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]:
        if run_id in self._held:
            return []
        return await self._durable.history(run_id, after_seq, limit)

    async def forks(self, roots: Sequence[str]) -> Sequence[RunRow]:
        near = list(await self._volatile.forks(roots))
        for row in near:
            row.token = -row.token
        far = [row for row in await self._durable.forks(roots) if row.run_id not in self._held]
        return sorted(near + far, key=lambda row: (row.created_at, row.run_id))

    async def delete(self, run_id: str) -> bool:
        held = self._held.get(run_id)
        if held is None:
            return await self._durable.delete(run_id)
        if held.saved is not None:
            await self._durable.delete(run_id)
        await self._snapshots.release(held)
        return True

    # Crons, templates, schemas: they have no tier

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token:
        return await self._durable.put_cron(row, expected)

    async def cron(self, cron_id: str) -> CronRow | None:
        return await self._durable.cron(cron_id)

    async def crons(self) -> Sequence[CronRow]:
        return await self._durable.crons()

    async def delete_cron(self, cron_id: str) -> bool:
        return await self._durable.delete_cron(cron_id)

    async def put_template(self, row: TemplateRow) -> None:
        await self._durable.put_template(row)

    async def template(self, name: str, version: str = "") -> TemplateRow | None:
        return await self._durable.template(name, version)

    async def templates(self, name: str = "") -> Sequence[TemplateRow]:
        return await self._durable.templates(name)

    async def delete_template(self, name: str, version: str) -> bool:
        return await self._durable.delete_template(name, version)

    async def put_schema(self, row: SchemaRow) -> None:
        await self._durable.put_schema(row)

    async def schemas(self) -> Sequence[SchemaRow]:
        return await self._durable.schemas()

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int:
        return await self._durable.delete_schemas(executor_type, worker_id)


class _Round:
    """One call of `commit`: what goes to disk goes first and together, so that a failure leaves nothing
    done; what only memory takes goes last."""

    def __init__(self, tiers: Tiers, durable: Store, volatile: Store, snapshots: Snapshots) -> None:
        self._tiers = tiers
        self._durable = durable
        self._volatile = volatile
        self._snapshots = snapshots
        self._straight: list[tuple[int, Commit]] = []
        self._writes: list[tuple[int, Write]] = []
        self._light: list[tuple[int, Held, Commit]] = []
        self._fresh: list[tuple[int, Commit]] = []
        self._outcomes: dict[int, CommitOutcome] = {}

    async def carry_out(self, batch: Sequence[Commit]) -> list[CommitOutcome]:
        for place, commit in enumerate(batch):
            await self._sort(place, commit)
        if self._straight or self._writes:
            await self._to_disk()
        for place, commit in self._fresh:
            assert isinstance(commit.run, RunRow), "only rows are sorted so"
            held = Held(commit.run_id, None, commit.run.phase.is_terminal, commit.hooks)
            self._outcomes[place] = await self._tiers.hold(held, commit)
        if self._light:
            await self._to_memory()
        return [self._outcomes[place] for place in range(len(batch))]

    async def _sort(self, place: int, commit: Commit) -> None:
        held = self._snapshots.held.get(commit.run_id)
        if held is not None and held.unsettled is not None:
            await self._snapshots.settle(held)
            held = self._snapshots.held.get(commit.run_id)
        if held is None:
            await self._sort_other(place, commit)
        elif commit.expected is None or commit.expected != -held.token or held.deciding:
            self._outcomes[place] = _CONFLICT
        elif held.refused:
            self._outcomes[place] = Refusal(held.refused)
        elif held.saved is None or isinstance(commit.run, RunRow):
            self._light.append((place, held, commit))
        else:
            # Taking a run over raises its epoch, which must be on disk before anything is dispatched.
            must = commit.outside or commit.run.epoch is not UNSET
            if must or _ends(commit.run) or held.finished_after(commit):
                self._writes.append((place, Write(held, commit, must)))
            else:
                self._light.append((place, held, commit))

    async def _sort_other(self, place: int, commit: Commit) -> None:
        run = commit.run
        if commit.expected is None and isinstance(run, RunRow):
            tier = self._tiers.tier_of(run)
            if commit.document is None:
                text = await self._tiers.document(run.document)
                if text is not None:
                    commit = replace(commit, document=(run.document, text))
            if tier != ACTION_LOG and (commit.log is not None or commit.shares):
                commit = replace(commit, log=None, shares=False)
            if tier == MEMORY:
                if await self._durable.run(commit.run_id) is not None:
                    self._outcomes[place] = _CONFLICT
                else:
                    self._fresh.append((place, commit))
                return
        self._straight.append((place, commit))

    async def _to_disk(self) -> None:
        straight = [commit for _, commit in self._straight]
        writes = [write for _, write in self._writes]
        try:
            outcomes = await self._snapshots.write(straight, writes)
        except (StoreUnavailable, CommitUnknown) as error:
            if straight or any(write.must for write in writes):
                raise
            self._snapshots.write_failed(error)
            for place, write in self._writes:
                write.held.unsettled = None  # memory takes it now, and the disk once more
                assert write.commit is not None, "each was made of a commit"
                self._light.append((place, write.held, write.commit))
            return
        for (place, commit), outcome in zip(self._straight, outcomes, strict=True):
            self._outcomes[place] = await self._created(commit, outcome)
        for place, write in self._writes:
            outcome = write.outcome or _CONFLICT
            if isinstance(outcome, Committed) and write.commit is not None:
                outcome = await self._snapshots.apply(write.held, write.commit)
            self._outcomes[place] = outcome

    async def _created(self, commit: Commit, outcome: CommitOutcome) -> CommitOutcome:
        """A run of tier `snapshot` that the disk has now moves on in memory."""
        run = commit.run
        if not isinstance(outcome, Committed) or not isinstance(run, RunRow):
            return outcome
        if self._tiers.tier_of(run) != SNAPSHOT:
            return outcome
        held = Held(commit.run_id, outcome.token, run.phase.is_terminal, commit.hooks)
        if held.over and not held.open_hooks:
            return outcome
        return await self._tiers.hold(held, commit)

    async def _to_memory(self) -> None:
        commits = [inside(held, commit) for _, held, commit in self._light]
        outcomes = await self._volatile.commit(commits)
        for (place, held, commit), outcome in zip(self._light, outcomes, strict=True):
            if not isinstance(outcome, Committed):
                self._outcomes[place] = outcome
                continue
            self._outcomes[place] = Committed(-outcome.token)
            held.took(commit, outcome.token)
            if held.saved is None:
                continue
            held.unsaved.add(commit.run, commit.tasks, commit.hooks)
            self._snapshots.changed(held, now=held.unsaved.size >= MOST or only_waits(commit))


def known_tier(tier: str, all_of_them: bool) -> str:
    """`tier` itself. Raises Refused for one that does not exist, or that this engine does not have."""
    if tier not in TIERS:
        raise Refused(
            Problem(
                "unknown-tier",
                f"there is no tier '{tier}'",
                fix="use " + ", ".join(f"'{each}'" for each in TIERS[:-1]) + f" or '{TIERS[-1]}'",
            )
        )
    if tier != ACTION_LOG and not all_of_them:
        raise Refused(
            Problem(
                "tier-missing",
                f"this engine has no tier '{tier}': it was given no store in memory",
                fix="Engine(volatile=MemoryStore(), …), or Aether, which brings one",
            )
        )
    return tier


def _ends(run: RunPatch) -> bool:
    return run.phase is not UNSET and run.phase.is_terminal


def _finished(rows: RunRows) -> bool:
    return rows.run.phase.is_terminal and all(
        hook.phase.is_terminal for hook in rows.hooks.values()
    )
