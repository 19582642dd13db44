"""Places where faults go that nobody waits for: the log, a list, another thread.

In: faults. Out: lines, or the faults again. Never: an exception, or a wait, for the one who reports.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

from ..errors import ProblemError
from ..ports import ErrorSink, Fault

LEVELS = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def line(fault: Fault) -> str:
    """`deliver a hook failed: no answer from https://… Next: tried again in 2 s. (run 7, task run 7.3)`"""
    text = f"{fault.operation}: {fault.what}"
    if fault.next:
        text += f"{'' if text.endswith(('.', '!', '?')) else '.'} Next: {fault.next}"
    of = [f"run {fault.run_id}"] if fault.run_id else []
    if fault.task_run_id:
        of.append(f"task run {fault.task_run_id}")
    return f"{text} ({', '.join(of)})" if of else text


class LogSink:
    """One line for each fault in the standard log: what was being done, what happened, what happens next.

    A traceback follows unless the error is a Problem, which says what is wrong without one.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("aether")

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        traced = None if isinstance(error, ProblemError) else error
        self._logger.log(LEVELS[fault.severity], "%s", line(fault), exc_info=traced)


class CollectingSink:
    """Keeps the last `limit` faults, for tests and for programs that look at them themselves."""

    def __init__(self, limit: int = 1000) -> None:
        self._kept: deque[tuple[Fault, BaseException | None]] = deque(maxlen=limit)
        self.taken = 0

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        self._kept.append((fault, error))
        self.taken += 1

    @property
    def faults(self) -> list[Fault]:
        """The faults that are kept, oldest first."""
        return [fault for fault, _ in self._kept]

    @property
    def errors(self) -> list[BaseException]:
        """The exceptions that came with them, oldest first."""
        return [error for _, error in self._kept if error is not None]

    @property
    def dropped(self) -> int:
        """How many faults were pushed out by later ones."""
        return self.taken - len(self._kept)

    def clear(self) -> None:
        self._kept.clear()
        self.taken = 0


class BackgroundSink:
    """Lets a slow sink, such as one that calls a service, take faults in a thread of its own.

    At most `limit` faults wait; beyond that the oldest waiting one is dropped, and the log says how many
    were. A sink that raises is reported to the log once for each fault. `close` hands over what waits,
    for `timeout` seconds at most, and ends the thread; afterwards faults go to the log.
    """

    def __init__(self, sink: ErrorSink, limit: int = 1000) -> None:
        self._sink = sink
        self._log = LogSink()
        self._waiting: deque[tuple[Fault, BaseException | None]] = deque()
        self._limit = limit
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="aether-faults", daemon=True)
        self._thread.start()

    def on_error(self, fault: Fault, error: BaseException | None = None) -> None:
        with self._changed:
            if not self._closed:
                if len(self._waiting) >= self._limit:
                    self._waiting.popleft()
                    self._dropped += 1
                self._waiting.append((fault, error))
                self._changed.notify()
                return
        self._log.on_error(fault, error)

    def close(self, timeout: float = 5.0) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                fault, error = self._waiting.popleft()
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._log.on_error(_overflow(self._sink, dropped))
            self._hand_over(fault, error)

    def _hand_over(self, fault: Fault, error: BaseException | None) -> None:
        try:
            self._sink.on_error(fault, error)
        except Exception as exc:  # noqa: BLE001  whatever a sink raises ends here, in the log
            self._log.on_error(fault, error)
            self._log.on_error(
                Fault(
                    operation=f"hand a fault to {type(self._sink).__name__}",
                    what=f"it raised {type(exc).__name__}",
                    next="the fault is in the line before",
                ),
                exc,
            )


def _overflow(sink: ErrorSink, dropped: int) -> Fault:
    return Fault(
        operation=f"hand faults to {type(sink).__name__}",
        what=f"it is too slow: {dropped} faults were dropped",
        next="newer faults are handed over",
        severity="warning",
    )
