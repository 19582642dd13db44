"""Decisions as the three arrays that `commit_batch` takes: one call carries them all.

In: prepared commits of different runs. Out: arguments, laid out as the function's comment says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....record import Instant, RunRow
from ...listings import label_terms
from .held import Prepared, Written, encode

Arguments = tuple[list[int | None], list[str], list[bytes | None]]


class Batch:
    """Collects prepared commits. `known` are digests whose text the server is believed to have."""

    def __init__(self, known: Mapping[bytes, None]) -> None:
        self._known = known
        self._documents: dict[bytes, bytes | None] = {}
        self._places: dict[bytes, int] = {}
        self._runs = 0
        self._texts: list[str] = []
        self._run_numbers: list[int | None] = []
        self._run_bodies: list[bytes | None] = []
        self._task_numbers: list[int] = []
        self._task_bodies: list[bytes] = []
        self._hook_numbers: list[int] = []
        self._hook_bodies: list[bytes] = []
        self._log_numbers: list[int] = []
        self._label_numbers: list[int | None] = []
        self._label_texts: list[str] = []
        self._log_bodies: list[bytes] = []

    def arguments(self) -> Arguments:
        numbers: list[int | None] = [
            len(self._documents),
            self._runs,
            len(self._task_numbers) // 2,
            len(self._hook_numbers) // 3,
            len(self._log_bodies),
            len(self._label_numbers) // 2,
            *self._run_numbers,
            *self._task_numbers,
            *self._hook_numbers,
            *self._log_numbers,
            *self._label_numbers,
        ]
        bodies: list[bytes | None] = []
        for document in self._documents.items():
            bodies += document
        bodies += self._run_bodies
        bodies += self._task_bodies
        bodies += self._hook_bodies
        bodies += self._log_bodies
        return numbers, self._texts + self._label_texts, bodies

    def add(self, prepared: Prepared, with_text: bool, with_log: bool) -> None:
        commit, run = prepared.commit, prepared.commit.run
        changes = b"" if prepared.changes is None else encode(prepared.changes)
        phase = prepared.phase.value
        self._runs = place = self._runs + 1
        is_open = int(prepared.open)
        if isinstance(run, RunRow):
            document = self._place(run.document, commit.document, with_text)
            self._texts += (commit.run_id, phase, run.name, run.namespace, run.cron_id)
            self._run_numbers += (None, is_open, prepared.due_at, run.created_at, document)
            self._run_numbers.append(run.owner)
            self._run_bodies += (encode(run), changes)
            self._add_labels(commit.run_id, run.created_at, run.labels)
            self._add_labels(commit.run_id, run.created_at, run.attributes)
        else:
            self._texts += (commit.run_id, phase)
            self._run_numbers += (commit.expected, is_open, prepared.due_at, None, None)
            self._run_numbers.append(run.owner if isinstance(run.owner, int) else None)
            self._run_bodies += (None, changes)
            if isinstance(run.attributes, dict):
                self._add_labels(commit.run_id, None, run.attributes)
        for ordinal, written in prepared.tasks.items():
            self._task_numbers += (place, ordinal)
            self._task_bodies += _bodies(written)
        for number, written in prepared.hooks.items():
            self._hook_numbers += (place, number, int(written.open))
            self._hook_bodies += _bodies(written)
        if with_log and commit.log is not None:
            self._log_numbers += (place, commit.log.seq, commit.log.at)
            self._log_bodies.append(commit.log.body)

    def _add_labels(
        self, run_id: str, created_at: Instant | None, labels: Mapping[str, str] | None
    ) -> None:
        """Of the run added last. Attributes that change leave their old terms in the index, where they
        find a run that does not match any more."""
        for terms in label_terms(labels) if labels else ():
            self._label_numbers += (self._runs, created_at)
            self._label_texts += (run_id, *terms)

    def _place(self, digest: bytes, given: tuple[bytes, bytes] | None, with_text: bool) -> int:
        """Where the document of a new run stands, counted from 1."""
        text = given[1] if given and (with_text or digest not in self._known) else None
        if text is not None or digest not in self._documents:
            self._documents[digest] = text
        return self._places.setdefault(digest, len(self._places) + 1)


def _bodies(written: Written) -> tuple[bytes, bytes]:
    return written.body or b"", b"" if written.changes is None else encode(written.changes)


def by_run(pairs: Sequence[tuple[str, int]]) -> tuple[list[str], list[int]]:
    """Pairs as the two arrays that statements take."""
    return [run_id for run_id, _ in pairs], [number for _, number in pairs]
