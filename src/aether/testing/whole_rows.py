"""Rows in which every member is set, and patches that between them set every member."""

from __future__ import annotations

from collections.abc import Iterable

from ..ports import RunRecord, TaskRecord
from ..record import (
    HookPatch,
    Origin,
    Phase,
    RunPatch,
    Slots,
    TaskPatch,
    Want,
)
from .rows import (
    START,
    a_cron,
    a_hook,
    a_run,
    a_run_record,
    a_task,
    a_task_record,
)

ORIGIN = Origin(
    run_id="first", seq=3, root="begin", kind="retry", task="main/work", place=(7, "main/", "work")
)
WANT = Want(key="db", concurrency=2, count=5, span=60, group="ann")
SLOTS = Slots(wants=(WANT, Want("api", 1)), priority=7, since=START, number=3, taken=START + 8)
FULL_RUN = a_run(
    "run",
    namespace="team",
    arguments=b'[["a","int",1]]',
    variables=b'{"system":{}}',
    labels={"tier": "gold"},
    cron_id="cron",
    parent="mother.3",
    status=b"{}",
    attributes={"stage": "two"},
    fire_at=START - 5,
    tier="snapshot",
    origin=ORIGIN,
    given=b'[["b","",2]]',
    phase=Phase.RUNNING,
    message="under way",
    outputs=b"[]",
    started_at=START + 1,
    finished_at=START + 2,
    deadline_at=START + 3,
    due_at=START + 4,
    paused_at=START + 5,
    paused_by="ann",
    total=3,
    done=2,
    warnings=("one", "two"),
    epoch=4,
    owner=6,
    seq=5,
    head=b"head",
    decided_at=44,
    signature=b"signature",
    slots=SLOTS,
)
FULL_TASK = a_task(
    0,
    parent=7,
    depth=2,
    scope="main/",
    template_name="work",
    kind="loop",
    executor="echo",
    index=3,
    phase=Phase.FAILED,
    message="no luck",
    code=2,
    inputs=b"[1]",
    outputs=b"[2]",
    attempt=2,
    begun=2,
    delivery=3,
    retry_count=1,
    losses=4,
    ready_at=START + 1,
    started_at=START + 2,
    finished_at=START + 3,
    deadline_at=START + 4,
    retry_at=START + 5,
    worker="w-1",
    omitted=(("later", "never reached"),),
    items=b"[1]",
    artifacts_in=b"{}",
    artifacts_out=b"[]",
    options=b"{}",
    order=5,
    beat_by=START + 6,
    details=b"[3]",
    slots=SLOTS,
)
FULL_HOOK = a_hook(
    0,
    scope="task",
    task=0,
    executor="echo",
    notified=True,
    phase=Phase.SUCCEEDED,
    message="told",
    code=0,
    inputs=b"[3]",
    outputs=b"[4]",
    delivery=2,
    started_at=START + 1,
    finished_at=START + 2,
    deadline_at=START + 3,
    task_name="load",
    subject_phase="Failed",
)
FULL_CRON = a_cron(
    "c",
    name="nightly",
    namespace="team",
    last_schedule_at=START + 1,
    last_fire_at=START + 2,
    last_run_id="run",
    next_fire_at=START + 3,
    suspended=True,
    updated_at=START + 4,
    pending=(("run-2", START, None), ("run-3", START, START + 1)),
)


def run_patches() -> Iterable[RunPatch]:
    return [
        RunPatch(),
        RunPatch(phase=Phase.SUCCEEDED, message="", outputs=None, started_at=None),
        RunPatch(finished_at=None, deadline_at=None, due_at=None, paused_at=None, paused_by=""),
        RunPatch(
            total=9, done=8, warnings=(), epoch=2, seq=77, head=b"h", signature=b"s", decided_at=3
        ),
        RunPatch(owner=8, status=None, attributes=None, slots=None),
        RunPatch(status=b'{"a":1}', attributes={"stage": "three"}),
        RunPatch(outputs=b"[9]", due_at=1, warnings=("three",)),
    ]


def task_patches() -> Iterable[TaskPatch]:
    return [
        TaskPatch(0),
        TaskPatch(0, phase=Phase.READY, message="", code=None, inputs=None, outputs=None),
        TaskPatch(0, attempt=5, begun=4, delivery=6, retry_count=7, losses=8, worker=""),
        TaskPatch(0, ready_at=None, started_at=None, finished_at=None, deadline_at=None),
        TaskPatch(0, retry_at=None, omitted=(), items=None),
        TaskPatch(0, artifacts_in=None, artifacts_out=None),
        TaskPatch(0, order=9, beat_by=None, details=None, slots=None),
        TaskPatch(0, outputs=b"[9]", code=0, retry_at=4),
    ]


def hook_patches() -> Iterable[HookPatch]:
    return [
        HookPatch(number=0),
        HookPatch(number=0, notified=False, phase=Phase.RUNNING, message="", code=None),
        HookPatch(number=0, outputs=None, delivery=9, started_at=None, finished_at=None),
        HookPatch(number=0, outputs=b"[9]", started_at=3),
    ]


def full_run() -> RunRecord:
    return a_run_record(
        "run",
        namespace="team",
        arguments=b'[["a","int",1]]',
        variables=b"{}",
        labels={"tier": "gold"},
        cron_id="cron",
        parent="mother.3",
        status=b"{}",
        attributes={"stage": "two"},
        fire_at=START,
        tier="snapshot",
        origin=ORIGIN,
        given=b'[["b","",2]]',
        phase=Phase.RUNNING,
        message="under way",
        outputs=b"[]",
        started_at=1,
        finished_at=2,
        deadline_at=3,
        due_at=4,
        paused_at=5,
        paused_by="ann",
        total=3,
        done=2,
        warnings=("one",),
        epoch=4,
        owner=6,
        seq=5,
        head=b"head",
        decided_at=44,
        signature=b"signature",
        slots=SLOTS,
    )


def full_task() -> TaskRecord:
    return a_task_record(
        "run",
        4,
        parent=7,
        depth=2,
        scope="main/",
        template_name="work",
        kind="loop",
        executor="echo",
        index=3,
        phase=Phase.SUSPENDED,
        message="waiting",
        code=1,
        inputs=b"[1]",
        outputs=b"[2]",
        attempt=2,
        begun=2,
        delivery=3,
        retry_count=1,
        losses=4,
        ready_at=1,
        started_at=2,
        finished_at=3,
        deadline_at=4,
        retry_at=5,
        worker="w-1",
        omitted=(("later", "never reached"),),
        items=b"[]",
        artifacts_in=b"{}",
        artifacts_out=b"{}",
        options=b"{}",
        order=5,
        beat_by=6,
        details=b"[3]",
        slots=SLOTS,
    )
