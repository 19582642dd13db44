"""Exceptions of user code as recorded values, and back.

A failed step keeps what it raised: type, message, arguments, notes, traceback and causes. The function
sees an exception of the same type, live as in a replay, so `except OutOfStock` catches it both times.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from os.path import dirname, sep
from typing import Any

import msgspec

from ..errors import AetherError, Refused
from ..record import NamedValue, decode_values, encode_values
from . import codec

ERROR = "error"
_CAUSES = 8
_LINES = 16_384  # characters of a traceback that are kept: its end says where it happened
_OURS = dirname(dirname(__file__)) + sep


class Recorded(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One exception, and what it came from."""

    type: str  # as people write it: ValueError, shop.errors.OutOfStock
    message: str = ""
    module: str = ""
    name: str = ""
    args: str = ""  # encoded; "" when an argument is no data
    notes: list[str] = []
    traceback: str = ""
    step: str = ""
    attempt: int = 1
    cause: Recorded | None = None

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class StepFailed(AetherError):
    """Stands for an exception whose class is not loaded here, or cannot be built from its arguments."""

    def __init__(self, message: str, error_type: str = "") -> None:
        super().__init__(message)
        self.error_type = error_type


def encode_error(error: BaseException, where: str = "", attempt: int = 1) -> tuple[str, str, bytes]:
    """(type, message, outputs): what a row keeps of `error`."""
    recorded = record_error(error, where, attempt)
    return recorded.type, str(recorded), encode_recorded(recorded)


def encode_recorded(recorded: Recorded) -> bytes:
    return encode_values((NamedValue(ERROR, "", msgspec.to_builtins(recorded)),))


def record_error(
    error: BaseException, step: str = "", attempt: int = 1, depth: int = 0
) -> Recorded:
    kept = getattr(error, "__aether_recorded__", None)
    if isinstance(kept, Recorded):
        return kept  # it was recorded by the step that raised it, with the traceback that matters
    kind = type(error)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    name = error.error_type if isinstance(error, StepFailed) and error.error_type else _label(kind)
    return Recorded(
        type=name,
        message=_text_of(error),
        module=kind.__module__,
        name=kind.__qualname__,
        args=_encoded_args(error),
        notes=[str(note) for note in getattr(error, "__notes__", ())],
        traceback=_traceback(error),
        step=step,
        attempt=attempt,
        cause=record_error(cause, depth=depth + 1)
        if cause is not None and depth < _CAUSES
        else None,
    )


def read_error(outputs: bytes | None) -> Recorded | None:
    """The exception that a failed row keeps; None when it keeps none."""
    for value in decode_values(outputs):
        if value.name == ERROR:
            return msgspec.convert(value.value, Recorded)
    return None


def rebuild(outputs: bytes | None, message: str = "") -> Exception:
    """The exception as the function sees it."""
    recorded = read_error(outputs)
    return StepFailed(message or "the step failed") if recorded is None else rebuilt(recorded)


def rebuilt(recorded: Recorded) -> Exception:
    error = _built(recorded)
    if recorded.notes:
        error.__notes__ = list(recorded.notes)
    if recorded.cause is not None:
        error.__cause__ = rebuilt(recorded.cause)
    error.__aether_recorded__ = recorded  # type: ignore[attr-defined]  # exceptions take any member
    return error


def _built(recorded: Recorded) -> Exception:
    found: Any = sys.modules.get(recorded.module)
    for part in recorded.name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, Exception) and recorded.args:
        try:
            args = codec.decode(recorded.args.encode())
            error = found(*args)
        except Exception:  # noqa: BLE001 - a constructor that wants something else
            error = None
        if type(error) is found and _text_of(error) == recorded.message:
            return error
        made = _without_constructor(found, recorded)
        if made is not None:
            return made
    return StepFailed(recorded.message or recorded.type, recorded.type)


def _without_constructor(cls: type[Exception], recorded: Recorded) -> Exception | None:
    """An exception whose constructor takes something else than its `args`, as `except` expects it."""
    try:
        error = cls.__new__(cls)
        error.args = tuple(codec.decode(recorded.args.encode()))
    except Exception:  # noqa: BLE001 - then a StepFailed stands for it
        return None
    return error if _text_of(error) == recorded.message else None


def _encoded_args(error: BaseException) -> str:
    try:
        return codec.encode(list(error.args)).decode()
    except Refused:
        return codec.encode([_text_of(error)]).decode()


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - user code that fails to describe its own failure
        return f"<{type(error).__name__} that cannot be printed>"


def _label(kind: type) -> str:
    if kind.__module__ in ("builtins", "__main__") or hasattr(builtins, kind.__qualname__):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _traceback(error: BaseException) -> str:
    """Where it happened, in user code: our own frames say nothing to its author."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)
    ]
    text = "".join(traceback.format_list(frames))
    return text if len(text) <= _LINES else "…\n" + text[-_LINES:]


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS)
