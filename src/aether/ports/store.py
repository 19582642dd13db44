"""Store: moves rows and knows no rule. All that the engine calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ..record import (
    CronRow,
    HookPatch,
    HookRow,
    Instant,
    Phase,
    RunPatch,
    RunRow,
    RunRows,
    SchemaRow,
    TaskPatch,
    TaskRow,
    TemplateRow,
    Token,
)
from .cluster import Cluster, Consumed, DueRun
from .forks import Forks
from .payloads import Payload, Payloads


class LogEntry(msgspec.Struct, gc=False):
    """One decision as the action log keeps it: `body` is opaque to a store: `record.decode_changes`
    reads it."""

    seq: int
    at: Instant
    body: bytes


class Commit(msgspec.Struct, kw_only=True):
    """One decision, as rows. `expected` None creates the run, which `run` then holds whole. `outside`
    tells a store that acknowledges before it writes that somebody outside waits for this one. With
    `holds_values` False no row or patch in it has a payload, so that nobody need look for any."""

    run_id: str
    expected: Token | None
    run: RunRow | RunPatch
    tasks: Sequence[TaskRow | TaskPatch] = ()
    hooks: Sequence[HookRow | HookPatch] = ()
    document: tuple[bytes, bytes] | None = None  # (digest, text): only with a new run
    log: LogEntry | None = None
    outside: bool = False
    shares: bool = False  # only with a new run: its log begins with that of its origin
    payloads: Sequence[Payload] = ()  # large values that its rows refer to
    consumed: Sequence[Consumed] = ()  # messages of the run's inbox that this decision deals with
    holds_values: bool = True


class Committed(msgspec.Struct, frozen=True, gc=False):
    token: Token


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """The run has another token now (or exists already): load it and decide again."""


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The store cannot take this decision, ever: the run is to be quarantined with this reason."""

    reason: str


CommitOutcome = Committed | Conflict | Refusal


class RunQuery(msgspec.Struct, kw_only=True, frozen=True):
    """Which runs to list: all members that are set must hold. `after` is the cursor of a Page.

    Times are from the first instant up to, and without, the second. `text` is looked for in the run's
    id, name, message and label values, whatever the case of its letters."""

    phases: tuple[Phase, ...] = ()
    name: str = ""
    namespace: str = ""
    cron_id: str = ""
    id_prefix: str = ""
    labels: Mapping[str, str] = {}
    created_from: Instant | None = None
    created_to: Instant | None = None
    finished_from: Instant | None = None
    finished_to: Instant | None = None
    text: str = ""
    newest_first: bool = True
    after: str = ""
    limit: int = 100


class Page(msgspec.Struct):
    """`cursor` is "" on the last page, which any other may be as short as."""

    runs: list[RunRow]
    cursor: str = ""


class Store(Cluster, Forks, Payloads, Protocol):
    """Keeps rows. Everything handed in or out is a copy: changing it changes nothing in the store.

    Life. `open` comes before every other call, `close` after; both may be called again. What was
    committed is there again after `close` and `open`, as far as the store outlives its process at all.

    Commit. `commit` carries out each commit of the batch whole or not at all, in order, independently
    of the others, and answers for each. With `expected` None a new run is created from `run`, a RunRow;
    a run of that id must not exist (Conflict). Otherwise `run` is a RunPatch, and the run's token must
    equal `expected` (Conflict if not, or if there is no such run). Conflict counts before any refusal.
    A patch changes only the members it sets, and a row that exists already is replaced; what identifies
    a task or hook row (what stands above `phase`, or above `notified`) is the same in both. Rows and
    patches of one commit are applied in the order given, so a patch may follow its row. Each success
    gives the run a token it never had, not even under that id before it was deleted; the token of a row
    handed in means nothing, nor does its `claimed`. Refusal answers a commit that could never be carried
    out: a patch of a row that does not exist, a row or patch where the other belongs, a row of another
    run, a document that is not the run's, a new run whose document is neither given nor kept. Callers
    see to it that no two task rows of a run agree in parent, scope and task name, and that ordinals are
    not negative.

    When `commit` raises StoreUnavailable nothing was written; CommitUnknown leaves that open, for every
    commit of the batch on its own.

    Documents. The document of a new run is kept by its digest, once for all runs that name it, and goes
    with the last of them. Callers never give one digest to two texts. `document` is None for a digest
    that no run names.

    Log. `keeps_log` tells whether `history` will have what commits bring in `log`; a caller need not
    build entries for a store that drops them. `history` returns entries with `seq > after_seq`,
    ascending, at most `limit`; none for an unknown run, and none at all where `keeps_log` is False.

    Reading runs. `load` answers for each id, in order, with all rows of the run or None; tasks and
    hooks ascend. `run` is the run's own row alone, or None. `unfinished` lists the runs that are not
    terminal, or have a hook whose phase is not, by id, starting behind `after`, at most `limit`.
    `runs` lists those for which every member of the query that is set holds, by (`created_at`, run id),
    newest or oldest first, at most `limit` on a page; `cursor` is "" on the last page and otherwise
    leads to the page that begins behind the last run that was looked at. Where those that match are far
    between a store looks at no more than some thousands, so that a page may be short, or empty, and not
    the last. Runs that are created or deleted between two pages make no other run appear twice or not
    at all. A cursor that no page gave raises Refused `bad-cursor`. No listing decodes a payload;
    where reading one would take another look, the row shows None in its place.
    Callers see to it that no run ends before it was created.

    `delete` removes a run with its tasks, hooks and log, but for what others share of the log, and
    answers whether it existed.

    Crons, templates, schemas. `put_cron` creates (`expected` None) or replaces under its token, and
    returns the new one; a cron that exists, one that does not, or a token that is old raises
    TokenMismatch. A cron's `created_at` never changes. `put_template` raises TokenMismatch if that
    version exists. `template` without a version returns the newest one, by `created_at`, among equals
    the one put last. `put_schema` replaces the one of that worker and type. `delete_schemas` removes
    those that match all given filters, and answers how many; an empty filter matches any. `crons` are
    listed by id, `templates` by name, then oldest first, `schemas` by worker, then type. What does not
    exist is None, or False or 0 from a delete: never an exception. Limits are at least 1.
    """

    @property
    def concurrency(self) -> int:
        """How many calls of `commit` may be in flight at once; at least 1."""

    @property
    def keeps_log(self) -> bool: ...

    async def open(self) -> None: ...

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]: ...

    async def load(self, run_ids: Sequence[str]) -> Sequence[RunRows | None]: ...

    async def run(self, run_id: str) -> RunRow | None: ...

    async def document(self, digest: bytes) -> bytes | None: ...

    async def unfinished(self, after: str = "", limit: int = 256) -> Sequence[DueRun]: ...

    async def runs(self, query: RunQuery) -> Page: ...

    async def history(
        self, run_id: str, after_seq: int = 0, limit: int = 1000
    ) -> Sequence[LogEntry]: ...

    async def delete(self, run_id: str) -> bool: ...

    async def put_cron(self, row: CronRow, expected: Token | None) -> Token: ...

    async def cron(self, cron_id: str) -> CronRow | None: ...

    async def crons(self) -> Sequence[CronRow]: ...

    async def delete_cron(self, cron_id: str) -> bool: ...

    async def put_template(self, row: TemplateRow) -> None: ...

    async def template(self, name: str, version: str = "") -> TemplateRow | None: ...

    async def templates(self, name: str = "") -> Sequence[TemplateRow]: ...

    async def delete_template(self, name: str, version: str) -> bool: ...

    async def put_schema(self, row: SchemaRow) -> None: ...

    async def schemas(self) -> Sequence[SchemaRow]: ...

    async def delete_schemas(self, executor_type: str = "", worker_id: str = "") -> int: ...

    async def close(self) -> None: ...
