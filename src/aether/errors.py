"""Every exception of Aether, and the one shape in which it reports what went wrong.

AetherError
├── ProblemError            something a user can mend; carries `problems`
│   ├── InvalidDocument     a document was refused; every problem of it at once
│   ├── InvalidExpression   an expression could not be compiled or evaluated
│   ├── NotFound            no record with that id
│   ├── InvalidState        the thing exists, but not in a state that allows this
│   ├── NotSupported        the engine was wired without the port this call needs
│   ├── Refused             any other request that cannot be carried out as written
│   └── WaitTimeout         the wait ended before the run did; the run goes on
├── RunEnded                a run that somebody waits for did not succeed
│   ├── WorkflowFailed      an exception left its function, or the engine gave up on it
│   ├── WorkflowCancelled   somebody cancelled it
│   └── WorkflowTimedOut    its time was up
├── StoreError
│   ├── TokenMismatch       somebody else changed the record first
│   ├── StoreUnavailable    nothing was written; trying again is safe
│   └── CommitUnknown       the write may have happened; look before doing it again
├── Superseded              somebody else goes on with this run: what was done here no longer counts
└── EngineBug               a state that should be impossible; please report it
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Where(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a document or an expression. Lines and columns count from 1; 0 means unknown."""

    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ", ".join(part for part in (place, self.path) if part)


NOWHERE = Where()


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong, where, and how to fix it. The same on the command line, over HTTP and gRPC.

    `code` never changes once published; `docs/problems.md` has an entry for each.
    """

    code: str
    what: str
    where: Where = NOWHERE
    fix: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {self.what}"]
        if place := str(self.where):
            lines.append(f"  at {place}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class AetherError(Exception):
    """The root of every exception that Aether raises on purpose."""


class ProblemError(AetherError):
    """Something the caller can mend. `problems` is never empty."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__(self.problems)  # it can be built again from its arguments

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    @property
    def code(self) -> str:
        """The code of the first problem, for callers that branch on it."""
        return self.problems[0].code


class InvalidDocument(ProblemError):
    """The document was refused; nothing was stored."""


class InvalidExpression(ProblemError):
    """The expression does not compile, or its evaluation failed or ran out of its budget."""


class NotFound(ProblemError):
    """There is no record with that id."""


class InvalidState(ProblemError):
    """The record exists, but its state does not allow the call."""


class NotSupported(ProblemError):
    """The engine was wired without the port that this call needs."""


class Refused(ProblemError):
    """The request cannot be carried out as written."""


class WaitTimeout(ProblemError):
    """The wait is over, the run is not: it goes on."""


class RunEnded(AetherError):
    """The run is over and has no result."""

    def __init__(self, run_id: str, message: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class WorkflowFailed(RunEnded):
    """`error_type` and `message` are those of the exception that left the function; `__cause__` is that
    exception again, as far as its class is loaded here, with its own causes."""

    def __init__(
        self,
        run_id: str,
        message: str,
        *,
        error_type: str = "",
        step: str = "",
        attempt: int = 1,
        traceback: str = "",
    ) -> None:
        at = f" in step '{step}', attempt {attempt}" if step else ""
        text = f"run {run_id} failed{at}: {message}"
        super().__init__(run_id, f"{text}\n{traceback}".rstrip())
        self.error_type = error_type
        self.message = message
        self.step = step
        self.attempt = attempt
        self.traceback = traceback


class WorkflowCancelled(RunEnded):
    """The run was cancelled; its cleanup is over."""


class WorkflowTimedOut(RunEnded):
    """The run did not end within the time it was given."""


class StoreError(AetherError):
    """The store could not do what was asked."""


class TokenMismatch(StoreError):
    """The record has changed since the token was read; load it again and decide again."""


class StoreUnavailable(StoreError):
    """The store could not be reached and nothing was written; trying again is safe."""


class CommitUnknown(StoreError):
    """The connection ended during a commit: it may have happened. Look before doing it again."""


class Superseded(AetherError):
    """Another delivery of this function run counts now; whoever sees this drops what it holds."""


class EngineBug(AetherError):
    """A state that should be impossible. Please report it with the text of this error."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}. This is a bug in Aether: please report it with this text.")
