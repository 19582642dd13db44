"""Bugs that are planted to see whether the simulator looks: each is a piece of source and its wrong twin.

`plant` swaps a function's code in place, so that everybody who imported it by name has the bug too.
"""

from __future__ import annotations

import inspect
import textwrap
from contextlib import contextmanager
from importlib import import_module


class Bug:
    """`where` is `module:function` or `module:Class.method`; `seed` is one that found it once."""

    def __init__(self, where, right, wrong, seed=0):
        self.where, self.right, self.wrong, self.seed = where, right, wrong, seed


BUGS = {
    "a result behind its fence counts": Bug(
        "aether.plan.leaf:_current",
        "if epoch != state.run.epoch or delivery != row.delivery:",
        "if epoch > state.run.epoch:",
    ),
    "events are lost when the store is away": Bug(
        "aether.engine.step:Stepper._commit",
        "decided.live.put_back(decided.taken)",
        "decided.taken.clear()",
    ),
    "commands are performed before the commit": Bug(
        "aether.engine.step:Stepper._commit",
        "outcomes = await self._store.commit(",
        "[self._perform(d.live, d.decision) for d in batch]; outcomes = await self._store.commit(",
    ),
    "a loaded run forgets its deadlines": Bug(
        "aether.plan.state:State.attach", "if row.deadline_at is not None:", "if row.ordinal < 0:"
    ),
    "a loaded run forgets its retries": Bug(
        "aether.plan.state:State.attach", "if row.retry_at is not None:", "if row.ordinal < 0:"
    ),
    "nobody arms the timer of a run": Bug(
        "aether.engine.runs:Runs._arm",
        "self._timeouts.set(live.run_id, due_at)",
        "self._timeouts.set(live.run_id, None)",
        seed=16,
    ),
    "one retry too many": Bug(
        "aether.plan.retry:grants",
        "row.retry_count >= retry.limit",
        "row.retry_count > retry.limit",
    ),
    "onStart fires again after a resume": Bug(
        "aether.plan.nodes:started",
        "is_first = row.begun != row.attempt",
        "is_first = True",
        seed=21,
    ),
    "a held task is never released": Bug(
        "aether.plan.nodes:release_held",
        "while held and may_dispatch(turn):",
        "while held and turn.state.run.seq < 0:",
        seed=7,
    ),
    "a paused run hands out tasks": Bug(
        "aether.plan.nodes:may_dispatch", "run.paused_at is not None or", "False or"
    ),
    "one slot too many": Bug(
        "aether.plan.nodes:may_dispatch", "state.active < limit", "state.active <= limit"
    ),
    "an engine takes a run over and hands out nothing": Bug(
        "aether.plan.lifecycle:taken_over", "(Phase.READY, Phase.RUNNING)", "(Phase.RUNNING,)"
    ),
    "a lost commit is taken for a done one": Bug(
        "aether.engine.loading:Loader._settle_doubt",
        "if not await self._was_ours(unsure, state.run):",
        "if state.run.seq < 0:",
    ),
    "a task that ends is not counted": Bug(
        "aether.plan.turn:Turn.end", "state.run.done += 1", "state.run.done += 0"
    ),
    "time goes back after a reload": Bug(
        "aether.plan.state:State.begin", "max(run.created_at, run.decided_at)", "run.created_at"
    ),
    "the log is no chain": Bug("aether.engine.ledger:Ledger.entry", "seal(row.head,", "seal(b'',"),
    "a store takes a decision made on old rows": Bug(
        "aether.adapters.store.memory.store:MemoryStore._carry_out",
        "if commit.expected != (None if run is None else run.row.token):",
        "if (commit.expected is None) != (run is None):",
    ),
    "a run that is over stays in memory": Bug(
        "aether.engine.runs:Runs._retire", "del self._live[live.run_id]", "live.failures = 0"
    ),
    "a cancel is answered and not decided": Bug(
        "aether.plan.lifecycle:cancelled",
        "_stop(turn, Phase.CANCELLED, message, hooks=True)",
        "turn.nothing = message",
    ),
    "events are lost after a conflict": Bug(
        "aether.engine.step:Stepper._give_back",
        "decided.live.put_back(decided.taken)",
        "decided.taken.clear()",
    ),
    "a commit in doubt that was done is not performed": Bug(
        "aether.engine.loading:Loader._settle_doubt",
        "self._perform(live, unsure.decision)",
        "pass",
        seed=17,
    ),
    "nobody hears that a commit in doubt was done": Bug(
        "aether.engine.loading:Loader._settle_doubt", "self._answer(unsure.taken)", "pass", seed=6
    ),
    "a refused dispatch is not offered again": Bug(
        "aether.engine.relay:Relay._to_broker", "self._refused += assignments", "pass", seed=32
    ),
    "the word that a hook was told is lost": Bug(
        "aether.engine.relay:Relay._tell_all", "self._delivered(run_id, number)", "pass"
    ),
    "whoever watches a run is not told": Bug(
        "aether.engine.runs:Runs._perform",
        "self._waiting.changed(live.run_id)",
        "pass",
        seed=29,
    ),
    "lazy facts are never written": Bug(
        "aether.engine.runs:Runs._write_lazy", "self._stepper.push(live)", "pass", seed=15
    ),
    "a run with facts to be decided is forgotten": Bug(
        "aether.engine.runs:Runs._make_room", "if self._live[run_id].is_idle:", "if True:"
    ),
    "a worker never gives a slot back": Bug(
        "aether.worker.worker:Worker._run",
        "del self._running[key]",
        "self._running[key] = execution",
    ),
    "a worker stops when its broker failed once": Bug(
        "aether.worker.worker:Worker._lead", "return True", "self._exhausted = True; return False"
    ),
    "a worker drops the rest of what it fetched": Bug(
        "aether.worker.worker:Worker._lead",
        "self._backlog.extend(fetched)",
        "self._backlog.extend(fetched[:1])",
    ),
    "the local broker wakes nobody": Bug(
        "aether.adapters.broker.local:LocalBroker.dispatch",
        "self._wake(assignment.executor_type)",
        "pass",
    ),
    "the watcher of instants sleeps through an earlier one": Bug(
        "aether.adapters.timeouts:HeapTimeoutWatcher._arm",
        "if self._armed_at <= heap[0][0]:",
        "if self._armed_at:",
        seed=9,
    ),
    "the clock forgets what is due later": Bug(
        "aether.adapters.clock:SystemClock._wake", "self._arm(loop, due_at)", "pass", seed=22
    ),
    "a store gives a token twice": Bug(
        "aether.adapters.store.memory.store:MemoryStore._carry_out",
        "self._last_token += 1",
        "self._last_token += run is None",
    ),
    "a cron that forbids company has it": Bug(
        "aether.engine.cron_fires:CronFires._active",
        "[run.run_id for run in await self.runs(cron_id, _LIVE)]",
        "[]",
        seed=9,
    ),
    "an engine decides for a run that another one holds": Bug(
        "aether.engine.loading:Loader._ours",
        "if rows.run.held_by == self._membership.number or _is_over(rows):",
        "if True:",
    ),
    "a run that is taken over keeps its epoch": Bug(
        "aether.plan.lifecycle:taken_over", "epoch=state.run.epoch + 1", "epoch=state.run.epoch"
    ),
    "a letter is never answered": Bug(
        "aether.engine.letters:Letters._is_answered",
        "if self._tell(request, await self._told(message)):",
        "if False:",
        seed=2,
    ),
    "runs of an engine that died are left alone": Bug(
        "aether.engine.recovery:Recovery._run",
        "while self._store.shared:",
        "while False:",
        seed=4,
    ),
    "what was lost with a session is held for good": Bug(
        "aether.engine.runs:Runs._session_lost", "live.forget_state()", "pass", seed=2
    ),
    "a store gives away a run whose engine stands": Bug(
        "aether.adapters.store.memory.cluster:Sharing._claim",
        "if self._sessions.stands(holder):",
        "if False:",
        seed=2,
    ),
    "who waits for another engine's run is told nothing": Bug(
        "aether.engine.abroad:Abroad._look_at", "self._waiting.changed(run_id)", "pass", seed=6
    ),
    "a function asks for answers that it had before": Bug(
        "aether.flow.run:FlowRun._hand_answer", "self.after = row.order", "self.after = 0", seed=2
    ),
    "a parked function is not delivered again": Bug(
        "aether.plan.function_turn:FunctionTurn.answer", "self.woken = True", "pass", seed=1
    ),
}


@contextmanager
def plant(bug):
    module, _, path = bug.where.partition(":")
    function = import_module(module)
    for name in path.split("."):
        function = getattr(function, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.right) >= 1, f"{bug.where} no longer says: {bug.right}"
    names = {}
    exec(  # the wrong twin, in the words of the right one
        compile(
            "from __future__ import annotations\n" + source.replace(bug.right, bug.wrong, 1),
            bug.where,
            "exec",
        ),
        function.__globals__,
        names,
    )
    before = function.__code__
    function.__code__ = names[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = before
