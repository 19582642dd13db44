"""Clients of crons, and what must be true of fires."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ...engine import Engine
from ...errors import ProblemError
from ...ports import Commit
from ...record import Instant, RunRow
from .model import Rules
from .store import at_once
from .world import World

_MINUTE = 60_000_000


class CronClients:
    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance.child("crons")
        self.known: list[str] = []
        self.catching_up: dict[str, None] = {}  # crons that owe every fire
        self.alone: dict[str, None] = {}  # crons that forbid two runs at once
        self.changed: dict[str, None] = {}  # and those that somebody touched
        self.fires: dict[tuple[str, Instant], str] = {}
        self.most = self.chance.one_of((0, 0, 1, 3))
        self._count = 0

    def act(self) -> None:
        if len(self.known) + self._count < self.most and self.chance.happens(0.7):
            self._submit()
            return
        if not self.known:
            return
        cron_id = self.chance.one_of(self.known)
        kind = self.chance.one_of(("get", "list", "suspend", "resume", "resume", "trigger"))
        if kind in ("suspend", "trigger"):
            self.changed[cron_id] = None
        calls: dict[str, Any] = {
            "get": lambda engine: engine.get_cron(cron_id),
            "list": lambda engine: engine.list_crons(),
            "suspend": lambda engine: engine.suspend_cron(cron_id),
            "resume": lambda engine: engine.resume_cron(cron_id),
            "trigger": lambda engine: engine.trigger_cron(cron_id),
        }
        self._ask(kind, calls[kind])

    def _submit(self) -> None:
        self._count += 1
        name = f"every-{self._count}"
        policy = self.chance.one_of(("Allow", "Allow", "Forbid", "Replace"))
        catch_up = self.chance.one_of(("none", "last", "all", "all"))
        document = _cron(name, self.chance.one_of(("* * * * *", "*/2 * * * *")), policy, catch_up)
        if self.chance.happens(0.3):
            document["spec"]["jitter"] = "20s"
        self.world.model.rules[name] = Rules({"spec": document["spec"]["workflowSpec"]})

        def answered(cron_id: Any, error: Exception | None) -> None:
            if error is None:
                self.known.append(cron_id)
                if policy == "Forbid":
                    self.alone[cron_id] = None
                if (catch_up, policy) == ("all", "Allow"):
                    self.catching_up[cron_id] = None
            elif isinstance(error, ProblemError) and error.code != "engine-stopped":
                self.world.breach(f"a cron was refused: {error}")

        if self.world.call(lambda engine: engine.submit_cron(document), answered):
            self.world.saw("call submit cron")

    def _ask(self, name: str, work: Any) -> None:
        def answered(result: Any, error: Exception | None) -> None:
            self.world.saw(f"call cron {name}" if error is None else f"call cron {name} refused")

        self.world.call(work, answered)

    def created(self, commit: Commit) -> None:
        """A run was created; if a cron did that, it must be the only one of that fire."""
        row = commit.run
        if not isinstance(row, RunRow) or not row.cron_id or row.fire_at is None:
            return
        self.world.saw("cron fired")
        if row.cron_id in self.alone and not self.world.faults.hits["store.zombie"]:
            for run_id, shadow in self.world.model.runs.items():
                other = shadow.rows.run
                if other.cron_id == row.cron_id and run_id != row.run_id:
                    if not other.phase.is_terminal:
                        self.world.breach(f"{row.run_id} of {row.cron_id} began beside {run_id}")
        key = (row.cron_id, row.fire_at)
        if key in self.fires:
            self.world.breach(f"{row.run_id}: fire {row.fire_at} of {row.cron_id} came twice")
        self.fires[key] = row.run_id

    def deleted(self, run_id: str) -> None:
        """A run that somebody deletes before its cron has struck the claim out, or before another engine
        has that works it off too, is made once more: nothing that is stored says that it ever was."""
        shadow = self.world.model.runs.get(run_id)
        if shadow is None or not shadow.rows.run.cron_id:
            return
        run = shadow.rows.run
        row = at_once(self.world.server.inner.cron(run.cron_id))
        is_pending = row is not None and run_id in [claim[0] for claim in row.pending]
        if is_pending or len(self.world.server.claims_seen.get(run_id, ())) > 1:
            self.fires.pop((run.cron_id, run.fire_at or 0), None)

    def stored(self) -> list[str]:
        """Those included whose submit was never answered."""
        return [row.cron_id for row in at_once(self.world.server.inner.crons())]

    def delete_all(self) -> None:
        for cron_id in self.stored():
            self._delete(cron_id)

    def _delete(self, cron_id: str) -> None:
        def answered(result: Any, error: Exception | None) -> None:
            gone = isinstance(error, ProblemError) and error.code == "cron-not-found"
            if (error is None or gone) and cron_id in self.known:
                self.known.remove(cron_id)

        async def delete(engine: Engine) -> None:
            await engine.delete_cron(cron_id)

        self.world.call(delete, answered)

    def owed(self) -> list[str]:
        """Fires that never came, of crons that make up for all; only clocks that never jumped count."""
        found: list[str] = []
        for cron_id in self.catching_up:
            if cron_id in self.changed:
                continue
            fires = sorted(at for (cron, at) in self.fires if cron == cron_id)
            steps = {later - earlier for earlier, later in pairwise(fires)}
            if len(steps) > 1:
                found.append(f"{cron_id} left out a fire: {fires}")
        return found


def _cron(name: str, schedule: str, policy: str, catch_up: str) -> dict[str, Any]:
    work = {"task": {"name": "work", "executor": {"type": "echo"}, "timeout": "30s"}}
    return {
        "apiVersion": "aether/v1",
        "kind": "CronWorkflow",
        "metadata": {"name": name},
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": policy,
            "catchUp": catch_up,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            "workflowSpec": {"entrypoint": "work", "templates": [work]},
        },
    }
