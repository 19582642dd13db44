"""What every ErrorSink promises."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from ..errors import NotFound, Problem
from ..ports import ErrorSink, Fault
from .suites import ContractSuite

SEVERITIES: Final[tuple[Literal["info", "warning", "error", "critical"], ...]] = (
    "info",
    "warning",
    "error",
    "critical",
)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("it cannot even print itself")

    __repr__ = __str__


class ErrorSinkContract(ContractSuite):
    """`make` returns a sink; `seen` says what arrived, as texts that hold at least the fault's `what`."""

    def make(self) -> ErrorSink:
        raise NotImplementedError

    def seen(self, sink: ErrorSink) -> list[str]:
        raise NotImplementedError

    def test_a_fault_of_any_severity_is_taken(self) -> None:
        sink = self.make()
        for severity in SEVERITIES:
            sink.on_error(
                Fault(operation="deliver a hook", what=f"no answer {severity}", severity=severity)
            )
        seen = self.seen(sink)
        assert len(seen) == len(SEVERITIES)
        assert all(severity in text for severity, text in zip(SEVERITIES, seen, strict=True))

    def test_any_text_is_taken(self) -> None:
        texts = ("100 %", "%s %d %(x)s", "{0} {x}", "two\nlines", "\ud800", "")
        sink = self.make()
        for text in texts:
            sink.on_error(Fault(operation=text, what=f"marked {text}", next=text, run_id=text))
        seen = self.seen(sink)
        assert len(seen) == len(texts)
        assert all("marked" in text for text in seen)

    def test_any_error_is_taken(self) -> None:
        errors: tuple[BaseException | None, ...] = (
            None,
            ValueError("x"),
            NotFound(Problem("artifact-not-found", "there is no such file")),
            ExceptionGroup("two", [ValueError("1"), OSError("2")]),
            Unprintable(),
            SystemExit(3),
        )
        sink = self.make()
        for error in errors:
            sink.on_error(Fault(operation="o", what="it failed"), error)
        assert len(self.seen(sink)) == len(errors)

    def test_it_returns_nothing_to_wait_for(self) -> None:
        sink = self.make()
        call: Callable[[Fault], object] = sink.on_error
        answer = call(Fault(operation="o", what="w"))
        if inspect.iscoroutine(answer):
            answer.close()
        assert answer is None

    def test_it_does_not_block(self) -> None:
        sink = self.make()
        began = time.perf_counter()
        for number in range(100):
            sink.on_error(Fault(operation="o", what=f"fault {number}"))
        assert time.perf_counter() - began < 0.25

    def test_faults_stay_in_order(self) -> None:
        sink = self.make()
        for number in range(50):
            sink.on_error(Fault(operation="o", what=f"fault <{number}>"))
        seen = self.seen(sink)
        assert len(seen) == 50
        assert all(f"<{number}>" in text for number, text in enumerate(seen))

    async def test_it_may_be_called_inside_a_running_loop(self) -> None:
        sink = self.make()
        sink.on_error(Fault(operation="o", what="inside"))
        assert len(self.seen(sink)) == 1

    def test_it_may_be_called_from_any_thread(self) -> None:
        sink = self.make()
        raised: list[BaseException] = []

        def report(number: int) -> None:
            try:
                for _ in range(20):
                    sink.on_error(Fault(operation="o", what=f"from thread {number}"))
            except BaseException as exc:  # noqa: BLE001  a thread's exception must reach the test
                raised.append(exc)

        threads = [threading.Thread(target=report, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert raised == []
        assert len(self.seen(sink)) == 80
