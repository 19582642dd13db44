"""What the record holds of a run: which rows answer which calls, and in which order they are handed out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..record import Path, TaskRow
from .calls import Call, Key, key_of, key_of_row

_ASKED = frozenset({"step", "timer", "wait", "activity", "child", "note"})
_UNKNOWN = "an unknown line"
_FROM_OUTSIDE = frozenset({"update", "cancel"})


class History:
    """Rows are taken out as the function asks for them; those that nobody asks for do not fit the code.

    Results come back in the order in which the function had them: steps as they finished, and before a
    step the answers that were known to it, which is what the step's `order` counts.
    """

    def __init__(self, rows: Sequence[TaskRow]) -> None:
        self.by_key: dict[Key, TaskRow] = {}
        steps: list[TaskRow] = []
        answers: list[TaskRow] = []
        for row in rows:
            if row.parent is None:
                continue
            if row.kind in _ASKED:
                self.by_key[key_of_row(row)] = row
            if row.kind == "step":
                if row.phase.is_terminal:
                    steps.append(row)
            elif row.order and (row.phase.is_terminal or row.kind in _FROM_OUTSIDE):
                answers.append(row)
        steps.sort(key=_finished)
        answers.sort(key=_numbered)
        self.newest = answers[-1].order if answers else 0
        self._script = _merge(steps, answers)
        self.next: TaskRow | None = next(self._script, None)
        self.asked: dict[Key, Call] = {}  # and not handed out yet

    def take(self, call: Call) -> TaskRow | None:
        """The row that `call` asks for, if it is recorded; each row is taken once."""
        key = key_of(call.path)
        row = self.by_key.pop(key, None)
        if row is not None:
            self.asked[key] = call
        return row

    def advance(self) -> TaskRow | None:
        """The next row to hand out."""
        row = self.next
        if row is not None:
            self.next = next(self._script, None)
        return row

    @property
    def waiting(self) -> list[Call]:
        """Recorded calls that the function has made, and that were not handed out yet."""
        calls = self.asked.values()
        return [call for call in calls if call.future is not None and not call.future.done()]

    @property
    def left(self) -> TaskRow | None:
        """What a function that has ended has not seen of its record: answers that came later are none."""
        row = self.next
        while row is not None and row.kind != "step":
            self.advance()
            row = self.next
        return row or self.unasked

    @property
    def unasked(self) -> TaskRow | None:
        """The first recorded call that the function has not made; notes may be left."""
        return next((row for row in self.by_key.values() if row.kind != "note"), None)


def _finished(row: TaskRow) -> tuple[int, int]:
    return row.finished_at or 0, row.ordinal


def _numbered(row: TaskRow) -> int:
    return row.order


def _merge(steps: Iterable[TaskRow], answers: Sequence[TaskRow]) -> Iterator[TaskRow]:
    at = 0
    for step in steps:
        while at < len(answers) and answers[at].order <= step.order:
            yield answers[at]
            at += 1
        yield step
    yield from answers[at:]


def difference(call: Call, row: TaskRow) -> str:
    """What keeps `row` from being the record of `call`; "" when it is."""
    if row.kind != call.kind:
        return f"the record holds {row_label(row)} there"
    if call.kind in ("step", "activity", "child") and row.inputs != call.inputs:
        return f"the record holds other arguments: {_shown(row.inputs)}, now {_shown(call.inputs)}"
    return ""


class Misfit(msgspec.Struct, frozen=True, kw_only=True):
    """Where code and record part. `recorded` and `called` name a call each, `recorded_at` and `called_at` are
    `file:line`; what the code does not do at all is ""."""

    text: str
    recorded: str
    recorded_at: str
    called: str = ""
    called_at: str = ""


def misfit(call: Call, row: TaskRow, why: str) -> Misfit:
    """For a call that meets a row which is not its own."""
    called = label(call.path, call.kind)
    return Misfit(
        text=f"the code does not fit the record of this run: it calls {called} at "
        f"{call.where or _UNKNOWN}, but {why}, made at {row.template_name or _UNKNOWN}",
        recorded=row_label(row),
        recorded_at=row.template_name,
        called=called,
        called_at=call.where,
    )


def misfit_unasked(row: TaskRow, calls: Sequence[Call]) -> Misfit:
    """For a recorded call that the function does not make any more."""
    recorded = row_label(row)
    instead, called, called_at = "it calls nothing new", "", ""
    if calls:
        called, called_at = label(calls[0].path, calls[0].kind), calls[0].where
        instead = f"the code calls {called} at {called_at or _UNKNOWN}"
    return Misfit(
        text=f"the code does not fit the record of this run: the record holds {recorded}, made at "
        f"{row.template_name or _UNKNOWN}, which the code does not ask for; {instead}",
        recorded=recorded,
        recorded_at=row.template_name,
        called=called,
        called_at=called_at,
    )


def label(path: Path, kind: str) -> str:
    again = f" for the {_nth(path.occurrence + 1)} time" if path.occurrence else ""
    branch = f" in branch {path.branch}" if path.branch else ""
    return f"{kind} '{path.name}'{again}{branch}"


def row_label(row: TaskRow) -> str:
    branch, _, occurrence = row.scope.rpartition("#")
    return label(Path(branch, row.task_name, int(occurrence or 0)), row.kind)


def _shown(inputs: bytes | None) -> str:
    text = (inputs or b"nothing").decode(errors="replace")
    return text if len(text) <= 200 else text[:200] + "…"


def _nth(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
