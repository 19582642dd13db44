"""Exit codes of every command, so that scripts can branch on them. They never change."""

from __future__ import annotations

from ..record import Phase

OK = 0
BUG = 1  # a fault of Aether itself: please report it
USAGE = 2  # the command line cannot be understood, or a file it names cannot be read
INVALID = 3  # the document or its arguments were refused; nothing ran
FAILED = 4  # the run ended Failed, Error or Timeout
CANCELLED = 5  # the run was cancelled by somebody else
TIME_LIMIT = 6  # the time limit passed before the run ended
VERIFY = 7  # at least one check of the assertion file does not hold
NOT_FOUND = 8  # there is no such run, or no such step of it
UNREACHABLE = 9  # no server answers at the address that was given
DENIED = 10  # the server does not let this caller do that
INTERRUPTED = 130  # Ctrl-C; `run` has cancelled its run, `continue` has left runs as they were
TERMINATED = 143  # asked to stop by the system; likewise

MEANINGS = {
    OK: "the run Succeeded; with --verify: every check holds",
    BUG: "a fault of Aether itself; please report it",
    USAGE: "the command line or a file it names cannot be used",
    INVALID: "the document or its arguments were refused; nothing ran",
    FAILED: "the run ended Failed, Error or Timeout",
    CANCELLED: "the run was cancelled",
    TIME_LIMIT: "the time limit passed before the run ended",
    VERIFY: "with --verify: a check does not hold",
    NOT_FOUND: "there is no such run, or no such step of it",
    UNREACHABLE: "with --server: no server answers at that address",
    DENIED: "with --server: the token does not allow it, or there is none",
    INTERRUPTED: "interrupted (Ctrl-C); run cancels its run, continue leaves runs as they are",
    TERMINATED: "terminated by the system; likewise",
}


def of_phase(phase: Phase) -> int:
    """The code for a run that ended, or has not ended yet, in `phase`."""
    if not phase.is_terminal:
        return TIME_LIMIT
    return {Phase.SUCCEEDED: OK, Phase.CANCELLED: CANCELLED}.get(phase, FAILED)
