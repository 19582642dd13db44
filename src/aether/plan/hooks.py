"""Hooks: an event for the notifier, and the hook's template as a task of its own.

A hook's task stands outside the tree: no counts, no progress, no phase depends on it. A hook stays open
until its task is over and its event delivered, so that no engine forgets the one or the other.
"""

from __future__ import annotations

from ..record import HookRow, NamedValue, Phase, task_run_id
from .binding import bind, merge
from .env import ScopeEnv, child_env
from .phase import phase_of
from .spec import HookSpec
from .state import Node
from .turn import Turn

HOOK_TIMEOUT = 60_000_000

ON_END = {
    Phase.SUCCEEDED: "onSuccess",
    Phase.FAILED: "onFailure",
    Phase.ERROR: "onError",
    Phase.TIMEOUT: "onError",
    Phase.CANCELLED: "onCancel",
}


def fire_run_end(turn: Turn) -> None:
    fire(turn, ON_END[turn.state.run.phase], None)
    fire(turn, "onExit", None)


def fire_task_end(turn: Turn, node: Node) -> None:
    if node.spec.hooks or turn.state.plan.notify_all:
        fire(turn, ON_END[node.row.phase], node)
        fire(turn, "onExit", node)


def fire(turn: Turn, name: str, node: Node | None) -> None:
    """Nothing, unless this hook is declared here (or all events were asked for)."""
    state = turn.state
    spec = (node.spec.hooks if node else state.plan.hooks).get(name)
    if spec is None and not state.plan.notify_all:
        return
    hook = HookRow(
        number=state.hooks_total,
        hook=name,
        template=spec.template if spec else "",
        scope="task" if node else "workflow",
        task=node.row.ordinal if node else None,
        task_name=node.row.task_name if node else "",
        subject_phase=str(node.row.phase if node else state.run.phase),
        created_at=turn.at,
        executor=spec.executor if spec else "",
        notified=not state.plan.notifies,
        phase=Phase.READY,
        inputs=_inputs(turn, spec, name, node) if spec else None,
        deadline_at=turn.at + HOOK_TIMEOUT if spec else None,
    )
    turn.add_hook(hook, spec)


def complete_hook(
    turn: Turn, number: int, delivery: int, code: int, message: str, outputs: bytes | None
) -> None:
    hook = turn.state.hooks.get(number)
    if hook is None or hook.delivery != delivery or not is_at_work(hook):
        turn.nothing = f"hook {number} is over"
        return
    phase = phase_of(code)
    if phase is Phase.SUSPENDED:
        phase, message = Phase.ERROR, "a hook's task cannot be suspended"
    if phase is not Phase.SUCCEEDED:
        turn.warn(hook.task, f"hook {hook.hook} ({hook.template}) ended {phase}: {message}")
    turn.set_hook(hook, message=message, code=code, outputs=outputs, finished_at=turn.at)
    if hook.notified:
        turn.set_hook(hook, phase=phase)


def is_at_work(hook: HookRow) -> bool:
    """Whether its task is still to be heard of."""
    return bool(hook.template) and hook.finished_at is None


def start_hook(turn: Turn, number: int, delivery: int) -> None:
    hook = turn.state.hooks.get(number)
    if (
        hook is None
        or hook.delivery != delivery
        or hook.phase is not Phase.READY
        or not is_at_work(hook)
    ):
        turn.nothing = f"hook {number} is not waiting to start"
        return
    turn.set_hook(hook, phase=Phase.RUNNING, started_at=turn.at)


def end_overdue_hooks(turn: Turn) -> None:
    for hook in list(turn.state.hooks.values()):
        overdue = hook.deadline_at is not None and hook.deadline_at <= turn.at
        if overdue and is_at_work(hook):
            complete_hook(turn, hook.number, hook.delivery, 4, "no result within 60s", None)


def hook_delivered(turn: Turn, number: int) -> None:
    hook = turn.state.hooks.get(number)
    if hook is None or hook.notified:
        turn.nothing = f"hook {number} was delivered before"
        return
    turn.set_hook(hook, notified=True)
    if not hook.template:
        turn.set_hook(hook, phase=Phase.SKIPPED)
    elif hook.finished_at is not None:
        phase = phase_of(hook.code or 0)
        turn.set_hook(hook, phase=Phase.ERROR if phase is Phase.SUSPENDED else phase)


def _inputs(turn: Turn, spec: HookSpec, name: str, node: Node | None) -> bytes:
    """The template's declared inputs, and `hook`: an object that says what happened."""
    state = turn.state
    run = state.run
    env = child_env(state, node.parent) if node else ScopeEnv(state, None, None)
    bound, fault = bind(spec.binding, env, lambda what: turn.warn(None, what))
    if fault:
        turn.warn(None, f"hook {name}: {fault}")
    facts = {
        "event": name,
        "runId": run.run_id,
        "workflow": run.name,
        "phase": str(node.row.phase if node else run.phase),
        "message": node.row.message if node else run.message,
    }
    if node is not None:
        facts |= {
            "task": node.row.task_name,
            "taskRunId": task_run_id(run.run_id, node.row.ordinal),
        }
    return merge(bound, [NamedValue("hook", "object", facts)])
