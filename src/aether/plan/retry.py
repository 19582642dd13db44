"""Whether an attempt that ended badly gets another, and when."""

from __future__ import annotations

from hashlib import blake2b

from ..errors import InvalidExpression
from ..record import ActivityOptions, Phase, TaskRow
from .binding import Warn
from .env import attempt_env
from .spec import RetrySpec


def grants(
    retry: RetrySpec,
    row: TaskRow,
    phase: Phase,
    code: int,
    message: str,
    outputs: bytes | None,
    error_type: str,
    warn: Warn,
) -> bool:
    """Without an expression only Error and Timeout are tried again, never Failed."""
    if phase in (Phase.SUCCEEDED, Phase.SKIPPED) or row.retry_count >= retry.limit:
        return False
    if error_type and error_type in retry.non_retryable:
        return False
    if retry.unanswerable:
        return False
    if retry.expression is None:
        return phase is Phase.ERROR or phase is Phase.TIMEOUT
    try:
        verdict = retry.expression.evaluate(
            attempt_env(row.task_name, phase, code, message, outputs)
        )
    except InvalidExpression as exc:
        warn(f"no retry: its expression could not be evaluated: {exc.problems[0].what}")
        return False
    return verdict is True or verdict == "true"


def wait_before(retry: RetrySpec | ActivityOptions, run_id: str, row: TaskRow) -> int:
    """Microseconds until the next attempt. Chance comes from names, so that replays agree."""
    if not retry.initial:
        return 0
    # Past this exponent any factor above 1 has met any cap; it keeps the power finite.
    wait = retry.initial * retry.factor ** min(row.retry_count, 200)
    if retry.max:
        wait = min(wait, retry.max)
    if retry.jitter:
        seed = f"{run_id}/{row.ordinal}/{row.scope}{row.task_name}/{row.attempt}".encode()
        share = int.from_bytes(blake2b(seed, digest_size=8).digest()) / 2**64
        wait *= 1 - retry.jitter * share
    return int(wait)
