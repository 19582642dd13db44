"""How a PostgreSQL store commits: decisions of different runs in one call of one server-side function.

In: batches. Out: an answer for each commit. Never: a rule about what can be carried out; those are
`store_rules`, judged over what the store remembers or reads of the run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Sequence
from typing import Any

from ....errors import CommitUnknown, StoreUnavailable
from ....ports import Commit, CommitOutcome, Committed, Conflict, Refusal
from ....record import HookPatch, HookRow, Phase, RunPatch, RunRow, TaskPatch, TaskRow
from ...store_rules import fork_refusal, refusal
from .batch import Batch, by_run
from .connections import BadValue, Connections
from .forks import with_forks
from .held import (
    Held,
    Memory,
    Prepared,
    Seen,
    decode_hook_patch,
    decode_run_patch,
    decode_task_patch,
)
from .payloads import with_payloads
from .sql import statements

_CONFLICT = Conflict()
_NO_DOCUMENT = -1
_MOST_DIGESTS = 4_096


class _Anything:
    def __contains__(self, _: object) -> bool:
        return True


class _Either:
    def __init__(self, one: Container[int], other: Container[int]) -> None:
        self._one, self._other = one, other

    def __contains__(self, key: object) -> bool:
        return key in self._one or key in self._other


_ANYTHING = _Anything()  # whether a document is kept is for the server to say


class Known:
    """What was found out for one round: runs, and rows that are to change but were not remembered."""

    def __init__(self) -> None:
        self.runs: dict[str, Held] = {}
        self.tasks: dict[str, dict[int, TaskPatch]] = {}
        self.hooks: dict[str, dict[int, Seen]] = {}


class Writing:
    """Commits of a store. Two may be under way at once."""

    def __init__(self, connections: Connections, keeps_log: bool) -> None:
        self._connections = connections
        self._keeps_log = keeps_log
        self._memory = Memory()
        self._kept: OrderedDict[bytes, None] = OrderedDict()

    def forget(self, run_id: str = "") -> None:
        """Forget one run, or everything."""
        if run_id:
            self._memory.forget(run_id)
        else:
            self._memory.clear()
            self._kept.clear()

    async def commit(self, batch: Sequence[Commit]) -> Sequence[CommitOutcome]:
        outcomes: list[CommitOutcome] = []
        for part in _parts(batch):
            try:
                outcomes += await self._commit_part(part)
            except StoreUnavailable as exc:
                if outcomes:  # of this batch something was written
                    raise CommitUnknown(str(exc)) from exc
                raise
        return outcomes

    async def _commit_part(self, part: Sequence[Commit]) -> list[CommitOutcome]:
        """Commits of different runs."""
        try:
            return await self._write(part)
        except BadValue as exc:
            for commit in part:
                self._memory.forget(commit.run_id)
            if len(part) == 1:
                return [await self._refused(part[0], f"PostgreSQL cannot keep this: {exc}")]
        except (StoreUnavailable, CommitUnknown):
            for commit in part:
                self._memory.forget(commit.run_id)
            raise
        # Nothing was written, and one of them is to blame: alone, each speaks for itself.
        outcomes: list[CommitOutcome] = []
        for commit in part:
            try:
                outcomes += await self._commit_part([commit])
            except StoreUnavailable as exc:
                raise CommitUnknown(str(exc)) from exc
        return outcomes

    async def _write(self, part: Sequence[Commit]) -> list[CommitOutcome]:
        known = await self._look_up(part)
        outcomes: dict[int, CommitOutcome] = {}
        ready: list[tuple[int, Prepared]] = []
        for place, commit in enumerate(part):
            held = known.runs.get(commit.run_id)
            if commit.expected is not None and held is None:
                outcomes[place] = _CONFLICT
                continue
            seen_tasks = known.tasks.get(commit.run_id, {})
            seen_hooks = known.hooks.get(commit.run_id, {})
            tasks: Container[int] = seen_tasks
            hooks: Container[int] = seen_hooks
            if held is not None:
                tasks = _Either(held.tasks, seen_tasks) if seen_tasks else held.tasks
                hooks = _Either(held.hooks, seen_hooks) if seen_hooks else held.hooks
            if reason := refusal(commit, tasks, hooks, _ANYTHING) or self._strays(commit):
                outcomes[place] = await self._refused(commit, reason)
            else:
                try:
                    ready.append((place, Prepared(commit, held, seen_tasks, seen_hooks)))
                except (UnicodeEncodeError, OverflowError) as exc:
                    raise BadValue(str(exc)) from exc
        # New runs in order of their ids: two processes that create the same ones do not block each other.
        ready.sort(key=lambda each: each[1].commit.run_id)
        await self._send(ready, outcomes, with_text=False)
        return [outcomes[place] for place in range(len(part))]

    def _strays(self, commit: Commit) -> str:
        """The server says whether the origin that a commit names is there."""
        names_none = isinstance(commit.run, RunRow) and commit.run.origin is None
        return fork_refusal(commit, None) if commit.shares and names_none else ""

    async def _send(
        self,
        ready: list[tuple[int, Prepared]],
        outcomes: dict[int, CommitOutcome],
        with_text: bool,
    ) -> None:
        if not ready:
            return
        batch = Batch(self._kept)
        try:
            for _, prepared in ready:
                batch.add(prepared, with_text, self._keeps_log)
        except (UnicodeEncodeError, OverflowError) as exc:  # half a character, too large a number
            raise BadValue(str(exc)) from exc
        answers = await self._sent([prepared.commit for _, prepared in ready], batch)
        again: list[tuple[int, Prepared]] = []
        for (place, prepared), answer in zip(ready, answers, strict=True):
            run_id = prepared.commit.run_id
            document = prepared.commit.document
            if answer > 0:
                outcomes[place] = Committed(answer)
                self._remember(prepared, answer)
            elif answer == _NO_DOCUMENT and document is not None and not with_text:
                self._kept.pop(document[0], None)
                again.append((place, prepared))
            elif answer == _NO_DOCUMENT:
                outcomes[place] = Refusal(
                    f"run '{run_id}' names a document that is neither given nor kept"
                )
            else:
                self._memory.forget(run_id)
                outcomes[place] = _CONFLICT
        for place, prepared in again:
            try:
                await self._send([(place, prepared)], outcomes, with_text=True)
            except BadValue as exc:
                reason = f"PostgreSQL cannot keep this: {exc}"
                outcomes[place] = await self._refused(prepared.commit, reason)
            except StoreUnavailable as exc:
                raise CommitUnknown(str(exc)) from exc  # what stood beside it was written

    async def _sent(self, commits: Sequence[Commit], batch: Batch) -> Sequence[int]:
        """What the server answers. A commit that deals with messages stands alone in its batch."""
        sql = statements("commits")["commit"]
        values: tuple[Any, ...] = batch.arguments()
        if consumed := commits[0].consumed:
            keys, told = [each.key for each in consumed], [each.answer for each in consumed]
            sql = statements("cluster")["commit"]
            values = (commits[0].run_id, keys, told, *values)
        sql, values = with_forks(sql, values, commits, self._keeps_log)
        sql, values = with_payloads(sql, values, commits)
        answers: Sequence[int] = await self._connections.write(sql, *values)
        return answers

    def _remember(self, prepared: Prepared, token: int) -> None:
        commit = prepared.commit
        if commit.document is not None:
            self._kept[commit.document[0]] = None
            self._kept.move_to_end(commit.document[0])
            if len(self._kept) > _MOST_DIGESTS:
                self._kept.popitem(last=False)
        if prepared.open:
            self._memory.keep(commit.run_id, prepared.after(token))
        else:
            self._memory.forget(commit.run_id)

    async def _refused(self, commit: Commit, reason: str) -> CommitOutcome:
        """A conflict counts before any refusal."""
        sql = statements("commits")["held_runs"]
        try:
            rows = await self._connections.ask(sql, [commit.run_id])
        except BadValue:  # not even its id can be kept
            rows = []
        token = rows[0]["token"] if rows else None
        if token != commit.expected:
            self._memory.forget(commit.run_id)
            return _CONFLICT
        return Refusal(reason)

    # What is not remembered

    async def _look_up(self, part: Sequence[Commit]) -> Known:
        known = Known()
        strange: list[str] = []
        for commit in part:
            if commit.expected is None:
                continue
            held = self._memory.get(commit.run_id, commit.expected)
            if held is None:
                strange.append(commit.run_id)
            else:
                known.runs[commit.run_id] = held
        if strange:
            await self._look_up_runs(strange, part, known)
        tasks: list[tuple[str, int]] = []
        hooks: list[tuple[str, int]] = []
        for commit in part:
            held = known.runs.get(commit.run_id)
            if held is None:
                continue
            if commit.tasks:
                tasks += [(commit.run_id, each) for each in _missing_tasks(commit, held)]
            if commit.hooks:
                hooks += [(commit.run_id, each) for each in _missing_hooks(commit, held)]
        if tasks:
            for run_id, ordinal, changes in await self._ask("held_tasks", *by_run(tasks)):
                patch = decode_task_patch(changes) if changes else TaskPatch(ordinal)
                known.tasks.setdefault(run_id, {})[ordinal] = patch
        if hooks:
            for run_id, number, is_open, changes in await self._ask("held_hooks", *by_run(hooks)):
                change = decode_hook_patch(changes) if changes else HookPatch(number=number)
                known.hooks.setdefault(run_id, {})[number] = Seen(is_open, change)
        return known

    async def _look_up_runs(
        self, strange: Sequence[str], part: Sequence[Commit], known: Known
    ) -> None:
        expected = {commit.run_id: commit.expected for commit in part}
        for run_id, token, phase, due_at, changes in await self._ask("held_runs", strange):
            if token == expected[run_id]:
                patch = decode_run_patch(changes) if changes else RunPatch()
                known.runs[run_id] = Held(token, Phase(phase), due_at, patch)
        for run_id, number, changes in await self._ask("open_hooks", strange):
            if run_id in known.runs:
                change = decode_hook_patch(changes) if changes else HookPatch(number=number)
                known.runs[run_id].hooks[number] = change

    async def _ask(self, statement: str, *values: Any) -> Sequence[Any]:
        return await self._connections.ask(statements("commits")[statement], *values)


def _parts(batch: Sequence[Commit]) -> list[list[Commit]]:
    """The batch in parts whose commits do not depend on each other: no run comes twice in one, a new run
    without its document stands behind those that may bring it, and what deals with messages alone."""
    parts: list[list[Commit]] = []
    part: list[Commit] = []
    ids: set[str] = set()
    alone = False
    for commit in batch:
        is_bare = commit.expected is None and commit.document is None
        if not part or commit.run_id in ids or is_bare or commit.consumed or alone:
            part = []
            parts.append(part)
            ids = set()
        part.append(commit)
        ids.add(commit.run_id)
        alone = is_bare or bool(commit.consumed)
    return parts


def _missing_tasks(commit: Commit, held: Held) -> list[int]:
    there = held.tasks
    new: set[int] = set()
    missing: list[int] = []
    for change in commit.tasks:
        if isinstance(change, TaskRow):
            new.add(change.ordinal)
        elif change.ordinal not in there and change.ordinal not in new:
            missing.append(change.ordinal)
    return missing


def _missing_hooks(commit: Commit, held: Held) -> list[int]:
    there = held.hooks
    new: set[int] = set()
    missing: list[int] = []
    for change in commit.hooks:
        if isinstance(change, HookRow):
            new.add(change.number)
        elif change.number not in there and change.number not in new:
            missing.append(change.number)
    return missing
