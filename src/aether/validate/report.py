"""Report: collects problems while rules run, and places them all at the end."""

from __future__ import annotations

from typing import NamedTuple

from ..document import Path, Source
from ..errors import Problem, Severity
from .names import Speller

MOST = 200


class Enough(Exception):
    """More problems than anybody reads; the rest of the document is not looked at."""


class _Finding(NamedTuple):
    code: str
    severity: Severity
    path: Path
    what: str
    fix: str
    within: int | None


class Report:
    """What stands at a path whose shape is broken is not judged again: `damage` marks such paths."""

    def __init__(self) -> None:
        self._findings: list[_Finding] = []
        self._damaged: set[Path] = set()
        self._told: set[tuple[str, str]] = set()
        self._stopped = False
        self.speller = Speller()

    def damage(self, path: Path) -> None:
        self._damaged.add(path)

    def is_damaged(self, path: Path) -> bool:
        return path in self._damaged

    def error(
        self, code: str, path: Path, what: str, fix: str, *, within: int | None = None
    ) -> None:
        self._add(_Finding(code, "error", path, what, fix, within))

    def warn(
        self, code: str, path: Path, what: str, fix: str, *, within: int | None = None
    ) -> None:
        self._add(_Finding(code, "warning", path, what, fix, within))

    def warn_once(self, code: str, about: str, path: Path, what: str, fix: str) -> None:
        """Told where it is met first: to say the same of each task would hide everything else."""
        if (code, about) not in self._told:
            self._told.add((code, about))
            self.warn(code, path, what, fix)

    def missing(self, path: Path, member: str, what: str, fix: str, code: str = "") -> None:
        """`member` of the object at `path` is absent or empty."""
        if self._damaged and (*path, member) in self._damaged:
            return
        self._add(_Finding(code or "missing-member", "error", path, what, fix, None))

    def __len__(self) -> int:
        return len(self._findings)

    @property
    def has_errors(self) -> bool:
        return any(finding.severity == "error" for finding in self._findings)

    def _add(self, finding: _Finding) -> None:
        if finding.path in self._damaged:
            return
        if len(self._findings) >= MOST:
            self._stopped = True
            raise Enough
        self._findings.append(finding)

    def problems(self, source: Source) -> list[Problem]:
        """Every problem with its place, in the order of lines."""
        source.locate([finding.path for finding in self._findings])
        placed = [
            Problem(
                finding.code,
                finding.what,
                source.where(finding.path, finding.within),
                finding.fix,
                finding.severity,
            )
            for finding in self._findings
        ]
        placed.sort(key=lambda problem: (problem.where.line, problem.where.column))
        if self._stopped:
            placed.append(
                Problem(
                    "too-many-problems",
                    f"there are more than {MOST} problems; the others are not listed",
                    source.where(()),
                    "mend these first",
                )
            )
        return placed
