"""Errors that only a command which asks a server can have; each has an exit code of its own."""

from __future__ import annotations

from ..errors import ProblemError


class Unreachable(ProblemError):
    """No server answers at that address."""


class Denied(ProblemError):
    """The server does not let this caller do that."""
