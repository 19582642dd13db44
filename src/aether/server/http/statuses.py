"""Which status an error is answered with. Programs branch on the code of the problem; this is for proxies."""

from __future__ import annotations

from ...errors import (
    InvalidDocument,
    InvalidExpression,
    InvalidState,
    NotFound,
    NotSupported,
    ProblemError,
    WaitTimeout,
)

_BY_CODE = {
    "run-exists": 409,
    "id-conflict": 409,
    "template-exists": 409,
    "payload-too-large": 413,
    "document-too-large": 413,
    "not-started": 503,
}
_BY_KIND: tuple[tuple[type[ProblemError], int], ...] = (
    (NotFound, 404),
    (InvalidState, 409),
    (InvalidDocument, 422),
    (InvalidExpression, 422),
    (NotSupported, 501),
    (WaitTimeout, 504),
)


def status_of(error: ProblemError) -> int:
    by_code = _BY_CODE.get(error.code)
    if by_code is not None:
        return by_code
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), 400)
