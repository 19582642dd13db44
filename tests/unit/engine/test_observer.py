"""Whoever observes an engine hears of every change, in order."""

from __future__ import annotations

from collections.abc import Sequence

from aether import Aether
from aether.ports import Control
from aether.record import Change, Phase, RunRow, TaskRow

DOCUMENT = """
apiVersion: aether/v1
kind: Workflow
metadata: {name: hello}
spec:
  entrypoint: greet
  templates:
    - task: {name: greet, executor: {type: echo}}
"""


class Heard:
    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.seqs: list[int] = []
        self.changes: list[Change] = []

    def changed(self, run: RunRow, changes: Sequence[Change]) -> None:
        self.phases.append(run.phase)
        self.seqs.append(run.seq)
        self.changes += changes


async def test_an_observer_hears_of_every_decision_of_a_run_in_order() -> None:
    heard = Heard()
    async with Aether("memory:") as app:
        app.engine.observe(heard)
        await app.submit_and_wait(DOCUMENT)
    assert heard.phases[-1] is Phase.SUCCEEDED
    assert heard.seqs == sorted(heard.seqs)
    assert any(isinstance(change, TaskRow) for change in heard.changes)


async def test_the_one_who_observes_next_takes_the_place_of_the_one_before() -> None:
    first, second = Heard(), Heard()
    async with Aether("memory:") as app:
        app.engine.observe(first)
        app.engine.observe(second)
        await app.submit_and_wait(DOCUMENT)
    assert not first.phases
    assert second.phases


async def test_an_engine_is_what_a_server_asks() -> None:
    async with Aether("memory:") as app:
        control: Control = app.engine
        run_id = await control.submit(DOCUMENT, labels={"team": "a"})
        await control.wait(run_id)
        assert (await control.header(run_id)).labels == {"team": "a"}
        assert b"greet" in await control.document_of(run_id)
        assert [worker.worker_id for worker in await control.workers()] == ["local"]
