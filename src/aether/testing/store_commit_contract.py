"""What every Store promises about commits, copies and documents."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from msgspec.structs import replace

from ..ports import Commit, Committed, Conflict, Refusal, RunQuery
from ..record import (
    HookPatch,
    Phase,
    RunPatch,
    TaskPatch,
    TaskRow,
    patch_hook,
    patch_run,
    patch_task,
)
from .rows import (
    DIGEST,
    TEXT,
    a_hook,
    a_run,
    a_task,
    changing,
    commit_one,
    committed,
    creating,
    loaded,
)
from .store_suite import StoreSuite, valueless
from .whole_rows import (
    FULL_HOOK,
    FULL_RUN,
    FULL_TASK,
    hook_patches,
    run_patches,
    task_patches,
)


class CommitPromises(StoreSuite):
    # Commits

    async def test_a_new_run_is_kept_whole(self) -> None:
        store = await self.opened()
        commit = creating(deepcopy(FULL_RUN), tasks=[FULL_TASK], hooks=[FULL_HOOK])
        token = await committed(store, commit)
        rows = await loaded(store, "run")
        assert rows.run == replace(FULL_RUN, token=token)
        assert rows.tasks == {0: FULL_TASK}
        assert rows.hooks == {0: FULL_HOOK}

    async def test_a_run_that_exists_is_not_created_again(self) -> None:
        store = await self.opened()
        await committed(store, creating(a_run("run")))
        again = creating(a_run("run", name="other"), tasks=[a_task(0)])
        assert isinstance(await commit_one(store, again), Conflict)
        rows = await loaded(store, "run")
        assert rows.run.name == "flow"
        assert rows.tasks == {}

    async def test_a_commit_under_an_old_token_is_a_conflict_and_writes_nothing(self) -> None:
        store = await self.opened()
        first = await committed(store, creating(a_run("run"), tasks=[a_task(0)]))
        await committed(store, changing("run", first, RunPatch(message="second")))
        before = await loaded(store, "run")
        late = changing(
            "run",
            first,
            RunPatch(message="late"),
            [a_task(1), TaskPatch(0, phase=Phase.READY)],
            [a_hook(0)],
        )
        assert isinstance(await commit_one(store, late), Conflict)
        assert await loaded(store, "run") == before

    async def test_a_token_from_the_future_is_a_conflict(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        assert isinstance(await commit_one(store, changing("run", token + 1000)), Conflict)

    async def test_a_change_of_an_unknown_run_is_a_conflict(self) -> None:
        store = await self.opened()
        assert isinstance(await commit_one(store, changing("nobody", 1)), Conflict)
        assert await store.run("nobody") is None

    async def test_each_success_gives_a_token_the_run_never_had(self) -> None:
        store = await self.opened()
        tokens = [await committed(store, creating(a_run("run")))]
        for seq in range(20):
            tokens.append(await committed(store, changing("run", tokens[-1], RunPatch(seq=seq))))
            row = await store.run("run")
            assert row is not None
            assert row.token == tokens[-1]
        assert len(set(tokens)) == len(tokens)

    async def test_a_token_of_an_earlier_run_of_the_same_id_is_a_conflict(self) -> None:
        store = await self.opened()
        old = [await committed(store, creating(a_run("run")))]
        for _ in range(3):
            old.append(await committed(store, changing("run", old[-1])))
        assert await store.delete("run")
        token = await committed(store, creating(a_run("run")))
        for _ in range(5):
            assert token not in old
            assert isinstance(await commit_one(store, changing("run", old[0])), Conflict)
            token = await committed(store, changing("run", token))

    async def test_the_token_of_a_row_handed_in_means_nothing(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run", token=987_654)))
        row = await store.run("run")
        assert row is not None
        assert row.token == token != 987_654

    async def test_a_run_patch_changes_only_what_it_sets(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(deepcopy(FULL_RUN)))
        for patch in run_patches():
            before = await store.run("run")
            assert before is not None
            token = await committed(store, changing("run", token, patch))
            patch_run(before, patch)
            assert await store.run("run") == replace(before, token=token)

    async def test_a_task_patch_changes_only_what_it_sets(self) -> None:
        store = await self.opened()
        tasks = [FULL_TASK, a_task(1)]
        token = await committed(store, creating(a_run("run"), tasks=tasks))
        expected = deepcopy(FULL_TASK)
        for patch in task_patches():
            token = await committed(store, changing("run", token, tasks=[patch]))
            patch_task(expected, patch)
            assert (await loaded(store, "run")).tasks == {0: expected, 1: a_task(1)}

    async def test_a_hook_patch_changes_only_what_it_sets(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run"), hooks=[FULL_HOOK, a_hook(1)]))
        expected = deepcopy(FULL_HOOK)
        for patch in hook_patches():
            token = await committed(store, changing("run", token, hooks=[patch]))
            patch_hook(expected, patch)
            assert (await loaded(store, "run")).hooks == {0: expected, 1: a_hook(1)}

    async def test_a_row_that_exists_is_replaced(self) -> None:
        store = await self.opened()
        commit = creating(
            a_run("run"),
            tasks=[a_task(0, phase=Phase.READY, worker="w", inputs=b"[]")],
            hooks=[a_hook(0, message="first")],
        )
        token = await committed(store, commit)
        task, hook = a_task(0, phase=Phase.SUCCEEDED), a_hook(0, notified=True)
        await committed(store, changing("run", token, tasks=[task], hooks=[hook]))
        rows = await loaded(store, "run")
        assert rows.tasks == {0: task}
        assert rows.hooks == {0: hook}

    async def test_rows_and_patches_of_one_commit_apply_in_order(self) -> None:
        store = await self.opened()
        tasks: list[TaskRow | TaskPatch] = [
            a_task(0),
            TaskPatch(0, phase=Phase.READY, message="kept"),
            TaskPatch(0, phase=Phase.RUNNING, worker="w"),
        ]
        hooks = [a_hook(0), HookPatch(number=0, notified=True)]
        token = await committed(store, creating(a_run("run"), tasks=tasks, hooks=hooks))
        rows = await loaded(store, "run")
        assert rows.tasks == {0: a_task(0, phase=Phase.RUNNING, message="kept", worker="w")}
        assert rows.hooks == {0: a_hook(0, notified=True)}
        tasks = [
            TaskPatch(0, message="lost"),
            a_task(0, phase=Phase.READY),
            TaskPatch(0, delivery=2),
        ]
        await committed(store, changing("run", token, tasks=tasks))
        assert (await loaded(store, "run")).tasks == {0: a_task(0, phase=Phase.READY, delivery=2)}

    async def test_the_rows_in_a_commit_stay_as_they_were_handed_in(self) -> None:
        store = await self.opened()
        row, patch = a_task(0), TaskPatch(0, phase=Phase.READY)
        commit = creating(a_run("run"), tasks=[row, patch, TaskPatch(0, worker="w")])
        await committed(store, commit)
        assert row == a_task(0)
        assert patch == TaskPatch(0, phase=Phase.READY)

    async def test_each_commit_of_a_batch_is_answered_for_itself_and_in_order(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("b")))
        outcomes = await store.commit(
            [
                creating(a_run("a")),
                changing("b", token - 1, RunPatch(message="no")),
                changing("b", token, RunPatch(message="yes")),
                changing("a", -1),
                creating(a_run("c"), tasks=[TaskPatch(3)]),
                creating(a_run("d"), tasks=[a_task(0)]),
            ]
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Committed, Conflict, Committed, Conflict, Refusal, Committed]
        row = await store.run("b")
        assert row is not None
        assert row.message == "yes"
        assert [rows and rows.run.run_id for rows in await store.load(["a", "b", "c", "d"])] == [
            "a",
            "b",
            None,
            "d",
        ]

    async def test_an_empty_batch_is_answered_by_nothing(self) -> None:
        store = await self.opened()
        assert list(await store.commit([])) == []

    async def test_of_two_commits_under_one_token_the_first_counts(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        first, second = await store.commit(
            [
                changing("run", token, RunPatch(message="first")),
                changing("run", token, RunPatch(message="second")),
            ]
        )
        assert isinstance(first, Committed)
        assert isinstance(second, Conflict)
        row = await store.run("run")
        assert row is not None
        assert row.message == "first"

    async def test_what_can_never_be_carried_out_is_refused_whole(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run"), tasks=[a_task(0)]))
        before = await loaded(store, "run")
        for bad in _never(token):
            outcome = await commit_one(store, bad)
            assert isinstance(outcome, Refusal), f"{outcome} for {bad}"
            assert outcome.reason
            assert await loaded(store, "run") == before
            assert await store.run("new") is None
        assert [run.run_id for run in await store.unfinished()] == ["run"]
        assert len((await store.runs(RunQuery())).runs) == 1

    async def test_a_conflict_counts_before_a_refusal(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        stale = changing("run", token + 1, tasks=[TaskPatch(9)])
        again = creating(a_run("run"), tasks=[TaskPatch(9)])
        for commit in (stale, again):
            assert isinstance(await commit_one(store, commit), Conflict)

    async def test_concurrency_is_at_least_one(self) -> None:
        assert (await self.opened()).concurrency >= 1

    # Copies

    async def test_rows_handed_in_are_copied(self) -> None:
        store = await self.opened()
        run, task, hook = deepcopy(FULL_RUN), deepcopy(FULL_TASK), deepcopy(FULL_HOOK)
        token = await committed(store, creating(run, tasks=[task], hooks=[hook]))
        assert run.labels is not None
        run.labels["tier"] = "changed"
        run.message = task.message = hook.message = "changed"
        rows = await loaded(store, "run")
        assert rows.run == replace(FULL_RUN, token=token)
        assert rows.tasks == {0: FULL_TASK}
        assert rows.hooks == {0: FULL_HOOK}

    async def test_rows_handed_out_are_copies(self) -> None:
        store = await self.opened()
        await committed(store, creating(FULL_RUN, tasks=[FULL_TASK], hooks=[FULL_HOOK]))
        before = deepcopy(await loaded(store, "run"))
        rows = await loaded(store, "run")
        rows.tasks[0].message = rows.hooks[0].message = "changed"
        rows.tasks[5] = a_task(5)
        alone, listed = await store.run("run"), (await store.runs(RunQuery())).runs[0]
        assert alone is not None
        for row in (rows.run, alone, listed):
            row.message = "changed"
            assert row.labels is not None
            row.labels["tier"] = "changed"
        assert await loaded(store, "run") == before
        assert await store.run("run") == before.run
        assert valueless((await store.runs(RunQuery())).runs) == valueless([before.run])

    # Documents

    async def test_the_document_of_a_run_is_kept_by_its_digest(self) -> None:
        store = await self.opened()
        await committed(store, creating(a_run("run")))
        assert await store.document(DIGEST) == TEXT
        assert await store.document(b"\x02" * 32) is None

    async def test_a_later_run_may_name_a_document_that_is_kept(self) -> None:
        store = await self.opened()
        await committed(store, creating(a_run("a")))
        await committed(store, creating(a_run("b"), document=None))
        await store.delete("a")
        assert await store.document(DIGEST) == TEXT

    async def test_a_document_goes_with_its_last_run(self) -> None:
        store = await self.opened()
        for run_id in ("a", "b"):
            await committed(store, creating(a_run(run_id)))
        await commit_one(store, creating(a_run("a")))  # a conflict names nothing
        await commit_one(store, creating(a_run("c"), tasks=[TaskPatch(1)]))  # nor does a refusal
        await store.delete("a")
        assert await store.document(DIGEST) == TEXT
        await store.delete("a")
        assert await store.document(DIGEST) == TEXT
        await store.delete("b")
        assert await store.document(DIGEST) is None

    async def test_no_document_stays_of_a_commit_that_was_not_carried_out(self) -> None:
        store = await self.opened()
        other = b"\x02" * 32
        await commit_one(store, creating(a_run("a", document=other), tasks=[TaskPatch(1)]))
        assert await store.document(other) is None


def _never(token: int) -> Iterable[Commit]:
    """Commits that no store can carry out over a run `run` with the one task 0."""
    new = a_run("new")
    return [
        changing("run", token, RunPatch(message="no"), [a_task(1), TaskPatch(2)]),
        changing("run", token, RunPatch(phase=Phase.FAILED), [TaskPatch(1), a_task(1)]),
        changing("run", token, tasks=[TaskPatch(0, message="no")], hooks=[HookPatch(number=0)]),
        Commit(run_id="run", expected=token, run=a_run("run", message="no")),
        changing("run", token, RunPatch(message="no"), document=(DIGEST, TEXT)),
        Commit(run_id="new", expected=None, run=RunPatch()),
        creating(new, tasks=[TaskPatch(0)]),
        creating(new, hooks=[a_hook(0), HookPatch(number=1)]),
        creating(new, document=(b"\x02" * 32, TEXT)),
        creating(a_run("new", document=b"\x02" * 32), document=None),
        Commit(run_id="new", expected=None, run=a_run("someone"), document=(DIGEST, TEXT)),
    ]
