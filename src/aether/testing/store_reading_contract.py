"""What every Store promises about reading, the log, deleting and closing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ..errors import Refused
from ..ports import Committed, Conflict, LogEntry, RunQuery
from ..record import (
    HookPatch,
    Phase,
    RunPatch,
)
from .rows import (
    DIGEST,
    START,
    TEXT,
    a_cron,
    a_hook,
    a_run,
    a_task,
    changing,
    commit_one,
    committed,
    creating,
    loaded,
)
from .store_suite import StoreSuite, listed_ids, paged_ids, unfinished_ids
from .whole_rows import (
    FULL_HOOK,
    FULL_RUN,
    FULL_TASK,
)


class ReadingPromises(StoreSuite):
    # Log

    async def test_the_log_is_given_back_in_order_and_in_pages(self) -> None:
        store = await self.opened()
        entries = [LogEntry(seq, START + seq, b"body %d" % seq) for seq in range(1, 8)]
        token = await committed(store, creating(a_run("run"), log=entries[0]))
        await committed(store, creating(a_run("other"), log=LogEntry(1, START, b"other")))
        for entry in entries[1:]:
            token = await committed(store, changing("run", token, log=entry))
        late = changing("run", token - 1, log=LogEntry(9, START, b"late"))
        assert isinstance(await commit_one(store, late), Conflict)
        expected = entries if store.keeps_log else []
        assert list(await store.history("run")) == expected
        assert list(await store.history("run", 3)) == expected[3:]
        assert list(await store.history("run", 2, limit=2)) == expected[2:4]
        assert list(await store.history("run", 7)) == []
        assert list(await store.history("nobody")) == []

    async def test_log_entries_go_in_and_out_as_copies(self) -> None:
        store = await self.opened()
        entry = LogEntry(1, START, b"body")
        await committed(store, creating(a_run("run"), log=entry))
        entry.body = b"changed"
        for _ in range(2):
            for kept in await store.history("run"):
                assert kept.body == b"body"
                kept.body = b"changed"

    async def test_a_commit_without_an_entry_leaves_the_log_alone(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        await committed(store, changing("run", token))
        assert list(await store.history("run")) == []

    # Reading runs

    async def test_load_answers_for_each_id_in_order(self) -> None:
        store = await self.opened()
        for run_id in ("a", "b"):
            await committed(store, creating(a_run(run_id)))
        rows = await store.load(["b", "nobody", "a", "b"])
        assert [each and each.run.run_id for each in rows] == ["b", None, "a", "b"]
        assert list(await store.load([])) == []

    async def test_loaded_tasks_and_hooks_ascend(self) -> None:
        store = await self.opened()
        mixed = [5, 0, 300, 2, 10]
        commit = creating(
            a_run("run"),
            tasks=[a_task(ordinal) for ordinal in mixed],
            hooks=[a_hook(number) for number in mixed],
        )
        token = await committed(store, commit)
        await committed(store, changing("run", token, tasks=[a_task(1)], hooks=[a_hook(1)]))
        rows = await loaded(store, "run")
        assert list(rows.tasks) == sorted([1, *mixed])
        assert list(rows.hooks) == sorted([1, *mixed])

    async def test_run_gives_the_row_alone_or_none(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        assert await store.run("run") == a_run("run", token=token)
        assert await store.run("nobody") is None

    async def test_unfinished_runs_are_listed_by_id_behind_a_cursor(self) -> None:
        store = await self.opened()
        for number in (7, 3, 9, 1, 5):
            row = a_run(f"r{number}", due_at=START + number, created_at=START - number)
            await committed(store, creating(row))
        listed = [(run.run_id, run.due_at) for run in await store.unfinished()]
        assert listed == [(f"r{number}", START + number) for number in (1, 3, 5, 7, 9)]
        page = await store.unfinished(limit=2)
        assert [run.run_id for run in page] == ["r1", "r3"]
        await committed(store, creating(a_run("r2")))
        await committed(store, creating(a_run("r4")))
        assert [run.run_id for run in await store.unfinished("r3", 2)] == ["r4", "r5"]
        assert [run.run_id for run in await store.unfinished("r5")] == ["r7", "r9"]
        assert [run.run_id for run in await store.unfinished("r35")] == ["r4", "r5", "r7", "r9"]
        assert list(await store.unfinished("r9")) == []

    async def test_a_run_is_unfinished_until_it_and_its_hooks_are_terminal(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run"), hooks=[a_hook(0)]))
        done = RunPatch(phase=Phase.SUCCEEDED)
        token = await committed(store, changing("run", token, done))
        assert await unfinished_ids(store) == ["run"]
        token = await committed(store, changing("run", token, hooks=[a_hook(1)]))
        for number in (0, 1):
            assert await unfinished_ids(store) == ["run"]
            over = HookPatch(number=number, phase=Phase.FAILED)
            token = await committed(store, changing("run", token, hooks=[over]))
        assert await unfinished_ids(store) == []
        token = await committed(store, changing("run", token, RunPatch(message="a late word")))
        assert await unfinished_ids(store) == []
        await committed(store, changing("run", token, hooks=[a_hook(2)]))
        assert await unfinished_ids(store) == ["run"]

    async def test_a_run_leaves_the_unfinished_when_it_ends_or_is_deleted(self) -> None:
        store = await self.opened()
        tokens = {}
        for run_id in ("a", "b", "c"):
            tokens[run_id] = await committed(store, creating(a_run(run_id)))
        assert await unfinished_ids(store) == ["a", "b", "c"]
        await committed(store, changing("a", tokens["a"], RunPatch(phase=Phase.CANCELLED)))
        await store.delete("b")
        assert await unfinished_ids(store) == ["c"]
        await committed(store, creating(a_run("d", phase=Phase.SKIPPED)))
        assert await unfinished_ids(store) == ["c"]

    async def test_unfinished_gives_the_due_time_as_it_is_now(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run", due_at=START)))
        token = await committed(store, changing("run", token, RunPatch(due_at=START + 9)))
        assert [run.due_at for run in await store.unfinished()] == [START + 9]
        await committed(store, changing("run", token, RunPatch(due_at=None)))
        assert [run.due_at for run in await store.unfinished()] == [None]

    async def test_runs_are_listed_by_creation_then_id(self) -> None:
        store = await self.opened()
        for run_id, created_at in (("b", 5), ("c", 1), ("a", 5), ("d", 3)):
            await committed(store, creating(a_run(run_id, created_at=created_at)))
        assert await listed_ids(store, RunQuery(newest_first=False)) == ["c", "d", "a", "b"]
        assert await listed_ids(store, RunQuery()) == ["b", "a", "d", "c"]

    async def test_pages_join_without_a_gap_or_a_repeat(self) -> None:
        store = await self.opened()
        ids = [f"r{number:02}" for number in range(11)]
        for place, run_id in enumerate(ids):
            await committed(store, creating(a_run(run_id, created_at=START + place // 3)))
        for limit in (1, 2, 3, 5, 11, 20):
            assert await paged_ids(store, RunQuery(limit=limit)) == ids[::-1]
            oldest = RunQuery(limit=limit, newest_first=False)
            assert await paged_ids(store, oldest) == ids

    async def test_the_last_page_has_no_cursor(self) -> None:
        store = await self.opened()
        assert (await store.runs(RunQuery())).cursor == ""
        for run_id in ("a", "b", "c", "d"):
            await committed(store, creating(a_run(run_id)))
        first = await store.runs(RunQuery(limit=2))
        assert first.cursor
        assert (await store.runs(RunQuery(limit=2, after=first.cursor))).cursor == ""
        assert (await store.runs(RunQuery(limit=4))).cursor == ""

    async def test_runs_created_or_deleted_between_pages_move_no_other(self) -> None:
        store = await self.opened()
        for number in range(6):
            await committed(store, creating(a_run(f"r{number}", created_at=START + number)))
        first = await store.runs(RunQuery(limit=3))
        assert [row.run_id for row in first.runs] == ["r5", "r4", "r3"]
        for number in (8, 9):
            await committed(store, creating(a_run(f"r{number}", created_at=START + number)))
        await store.delete("r3")  # the very run the cursor points at
        await store.delete("r1")
        second = RunQuery(limit=3, after=first.cursor)
        assert await listed_ids(store, second) == ["r2", "r0"]
        oldest = RunQuery(limit=2, newest_first=False)
        page = await store.runs(oldest)
        assert [row.run_id for row in page.runs] == ["r0", "r2"]
        oldest = replace(oldest, limit=5)
        await committed(store, creating(a_run("r1", created_at=START + 1)))
        await store.delete("r2")
        assert await listed_ids(store, replace(oldest, after=page.cursor)) == [
            "r4",
            "r5",
            "r8",
            "r9",
        ]

    async def test_every_member_of_a_query_must_hold(self) -> None:
        store = await self.opened()
        rows = [
            a_run("a", name="x", namespace="n1", cron_id="c1", phase=Phase.SUCCEEDED),
            a_run("b", name="x", namespace="n2", cron_id="c1", phase=Phase.FAILED),
            a_run("c", name="y", namespace="n1", cron_id="c2", phase=Phase.SUCCEEDED),
            a_run("d", name="x", namespace="n1", phase=Phase.RUNNING),
        ]
        for row in rows:
            await committed(store, creating(row))
        for query, expected in (
            (RunQuery(name="x"), "dba"),
            (RunQuery(namespace="n1"), "dca"),
            (RunQuery(cron_id="c1"), "ba"),
            (RunQuery(cron_id="c9"), ""),
            (RunQuery(phases=(Phase.SUCCEEDED,)), "ca"),
            (RunQuery(phases=(Phase.FAILED, Phase.RUNNING)), "db"),
            (RunQuery(name="x", namespace="n1", cron_id="c1"), "a"),
            (RunQuery(name="x", phases=(Phase.RUNNING,), cron_id="c1"), ""),
        ):
            assert "".join(await listed_ids(store, query)) == expected, query
            assert "".join(await paged_ids(store, replace(query, limit=1))) == expected, query

    async def test_runs_are_found_by_the_beginning_of_their_id(self) -> None:
        store = await self.opened()
        for place, run_id in enumerate(("ab2", "a", "ab1", "abc", "b", "AB1", "é1", "a%", "a_b")):
            await committed(store, creating(a_run(run_id, created_at=START + place)))
        for prefix, expected in (
            ("ab", ["abc", "ab1", "ab2"]),
            ("ab1", ["ab1"]),
            ("é", ["é1"]),
            ("a%", ["a%"]),
            ("a_", ["a_b"]),
            ("abcd", []),
        ):
            query = RunQuery(id_prefix=prefix)
            assert await listed_ids(store, query) == expected
            assert await paged_ids(store, replace(query, limit=1)) == expected
            oldest = replace(query, newest_first=False, limit=2)
            assert await paged_ids(store, oldest) == expected[::-1]

    async def test_runs_are_found_by_all_labels_of_a_query(self) -> None:
        store = await self.opened()
        rows = [
            a_run("a", labels={"team": "etl", "tier": "1"}, created_at=START),
            a_run("b", labels={"team": "etl"}, created_at=START + 1),
            a_run("c", labels={"team": "web", "tier": "1"}, created_at=START + 1),
            a_run("d", created_at=START + 2),
            a_run("e", labels={"team": "etl", "tier": "1", "a": ""}, created_at=START + 3),
        ]
        for row in rows:
            await committed(store, creating(row))
        for labels, expected in (
            ({"team": "etl"}, "eba"),
            ({"team": "etl", "tier": "1"}, "ea"),
            ({"tier": "1", "team": "web"}, "c"),
            ({"a": ""}, "e"),
            ({"team": "ETL"}, ""),
            ({"nobody": "x"}, ""),
        ):
            query = RunQuery(labels=labels)
            assert "".join(await listed_ids(store, query)) == expected, labels
            assert "".join(await paged_ids(store, replace(query, limit=1))) == expected, labels
            oldest = replace(query, limit=2, newest_first=False)
            assert "".join(await paged_ids(store, oldest)) == expected[::-1], labels
        await store.delete("e")
        assert await listed_ids(store, RunQuery(labels={"team": "etl"})) == ["b", "a"]
        await committed(store, creating(a_run("e", created_at=START + 9)))
        assert await listed_ids(store, RunQuery(labels={"team": "etl"})) == ["b", "a"]

    async def test_runs_are_found_by_their_attributes_as_they_are_now(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("a", labels={"team": "etl"})))
        stage = RunPatch(attributes={"stage": "one", "team": "web"})
        token = await committed(store, changing("a", token, stage))
        assert await listed_ids(store, RunQuery(labels={"stage": "one"})) == ["a"]
        assert await listed_ids(store, RunQuery(labels={"team": "etl", "stage": "one"})) == ["a"]
        assert (
            await listed_ids(store, RunQuery(labels={"team": "web"})) == []
        )  # a label counts first
        token = await committed(store, changing("a", token, RunPatch(attributes={"stage": "two"})))
        assert await listed_ids(store, RunQuery(labels={"stage": "one"})) == []
        assert await listed_ids(store, RunQuery(labels={"stage": "two"})) == ["a"]
        assert await listed_ids(store, RunQuery(labels={"team": "etl"})) == ["a"]
        assert await listed_ids(store, RunQuery(text="TWO")) == ["a"]
        await committed(store, creating(a_run("b", attributes={"stage": "two"})))
        assert sorted(await listed_ids(store, RunQuery(labels={"stage": "two"}))) == ["a", "b"]
        await store.delete("a")
        assert await listed_ids(store, RunQuery(labels={"stage": "two"})) == ["b"]

    async def test_labels_of_any_text_are_kept_and_found(self) -> None:
        store = await self.opened()
        long = "x" * 5_000
        labels = {"zero": "a\0b", long: long, long + "y": "", "": "no name"}
        await committed(store, creating(a_run("a", labels=labels)))
        await committed(store, creating(a_run("b", labels={"zero": "a b", long: long + "z"})))
        assert (await loaded(store, "a")).run.labels == labels
        for name, value in labels.items():
            assert await listed_ids(store, RunQuery(labels={name: value})) == ["a"]
        assert await listed_ids(store, RunQuery(labels={"zero": "a b"})) == ["b"]
        assert await store.delete("a") is True
        assert await listed_ids(store, RunQuery(labels={long: long})) == []

    async def test_runs_are_found_by_when_they_were_created_and_ended(self) -> None:
        store = await self.opened()
        for place in range(6):
            row = a_run(f"r{place}", created_at=START + 10 * place)
            token = await committed(store, creating(row))
            if place % 2:
                over = RunPatch(phase=Phase.SUCCEEDED, finished_at=START + 10 * place + 25)
                await committed(store, changing(f"r{place}", token, over))
        for query, expected in (
            (RunQuery(created_from=START + 40), "54"),
            (RunQuery(created_from=START + 41), "5"),
            (RunQuery(created_to=START + 20), "10"),
            (RunQuery(created_from=START + 10, created_to=START + 31), "321"),
            (RunQuery(created_from=START + 31, created_to=START + 31), ""),
            (RunQuery(finished_from=START + 35), "531"),
            (RunQuery(finished_from=START + 36), "53"),
            (RunQuery(finished_to=START + 75), "31"),
            (RunQuery(finished_from=START + 36, finished_to=START + 75), "3"),
            (RunQuery(created_from=START + 31, finished_to=START + 76), "5"),
            (RunQuery(created_to=START + 30, phases=(Phase.SUCCEEDED,)), "1"),
            (RunQuery(created_to=START + 30, phases=(Phase.CREATED, Phase.READY)), "20"),
        ):
            told = "".join(run_id[1] for run_id in await listed_ids(store, query))
            assert told == expected, query
            assert await paged_ids(store, replace(query, limit=1)) == [f"r{n}" for n in expected]

    async def test_text_is_looked_for_in_id_name_message_and_label_values(self) -> None:
        store = await self.opened()
        rows = [
            a_run("Nightly-1", name="load"),
            a_run("b", name="the nightly one"),
            a_run("c", name="load", message="nobody ran NIGHTLY"),
            a_run("d", name="load", labels={"kind": "nightly"}),
            a_run("e", name="load", labels={"nightly": "x"}),
            a_run("f", name="load", outputs=b'"nightly"', message="STRASSE 50%_"),
        ]
        for row in rows:
            await committed(store, creating(row))
        for text, expected in (
            ("nightly", ["d", "c", "b", "Nightly-1"]),
            ("NIGHTLY", ["d", "c", "b", "Nightly-1"]),
            ("nightly o", ["b"]),
            ("straße", ["f"]),
            ("50%_", ["f"]),
            ("%", ["f"]),
            ("load", ["f", "e", "d", "c", "Nightly-1"]),
        ):
            assert await listed_ids(store, RunQuery(text=text)) == expected, text
            assert await paged_ids(store, RunQuery(text=text, limit=1)) == expected, text
        token = await committed(store, creating(a_run("g")))
        await committed(store, changing("g", token, RunPatch(message="a word, now")))
        assert await listed_ids(store, RunQuery(text="word, now")) == ["g"]

    async def test_a_listing_shows_phases_as_they_are_now(self) -> None:
        store = await self.opened()
        token = await committed(store, creating(a_run("run")))
        await committed(store, changing("run", token, RunPatch(phase=Phase.ERROR)))
        assert await listed_ids(store, RunQuery(phases=(Phase.ERROR,))) == ["run"]
        assert await listed_ids(store, RunQuery(phases=(Phase.CREATED,))) == []

    async def test_a_cursor_that_no_page_gave_is_refused(self) -> None:
        store = await self.opened()
        await committed(store, creating(a_run("run")))
        for cursor in ("nonsense", "!!", "é", "W10", "x" * 500):
            with pytest.raises(Refused) as caught:
                await store.runs(RunQuery(after=cursor))
            assert caught.value.code == "bad-cursor"

    async def test_payloads_are_never_decoded(self) -> None:
        store = await self.opened()
        run = a_run("run", arguments=b"\xff not json", outputs=b"\x00")
        await committed(store, creating(run, tasks=[a_task(0, inputs=b"\xfe", outputs=b"")]))
        [listed] = (await store.runs(RunQuery())).runs
        assert listed.arguments in (None, run.arguments)
        assert listed.outputs in (None, run.outputs)
        task = (await loaded(store, "run")).tasks[0]
        assert (task.inputs, task.outputs) == (b"\xfe", b"")

    # Deleting, closing

    async def test_delete_removes_the_run_and_all_that_is_its(self) -> None:
        store = await self.opened()
        commit = creating(
            a_run("run", cron_id="c"),
            tasks=[a_task(0)],
            hooks=[a_hook(0)],
            log=LogEntry(1, START, b"x"),
        )
        await committed(store, commit)
        await committed(store, creating(a_run("other", cron_id="c"), tasks=[a_task(0)]))
        assert await store.delete("run") is True
        assert await store.delete("run") is False
        assert list(await store.load(["run"])) == [None]
        assert await store.run("run") is None
        assert list(await store.history("run")) == []
        assert await unfinished_ids(store) == ["other"]
        assert await listed_ids(store, RunQuery()) == ["other"]
        assert await listed_ids(store, RunQuery(cron_id="c")) == ["other"]
        assert (await loaded(store, "other")).tasks == {0: a_task(0)}

    async def test_a_run_created_anew_has_nothing_of_the_deleted_one(self) -> None:
        store = await self.opened()
        row = a_run("run", cron_id="c")
        commit = creating(row, tasks=[a_task(0)], hooks=[a_hook(0)], log=LogEntry(1, START, b"x"))
        await committed(store, commit)
        await store.delete("run")
        token = await committed(store, creating(row))
        rows = await loaded(store, "run")
        assert (rows.run, rows.tasks, rows.hooks) == (replace(row, token=token), {}, {})
        assert list(await store.history("run")) == []
        assert await listed_ids(store, RunQuery(cron_id="c")) == ["run"]
        assert await unfinished_ids(store) == ["run"]

    async def test_what_was_committed_is_there_after_close_and_open(self) -> None:
        store = await self.opened()
        commit = creating(FULL_RUN, tasks=[FULL_TASK], hooks=[FULL_HOOK])
        token = await committed(store, commit)
        before = await loaded(store, "run")
        await store.put_cron(a_cron("c"), None)
        store = await self.reopen(store)
        assert await loaded(store, "run") == before
        assert await store.document(DIGEST) == TEXT
        assert len(await store.crons()) == 1
        assert isinstance(await commit_one(store, changing("run", token)), Committed)

    async def test_open_and_close_may_be_called_again(self) -> None:
        store = await self.opened()
        await store.open()
        await committed(store, creating(a_run("run")))
        await store.close()
        await store.close()
