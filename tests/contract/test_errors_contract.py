"""The error sinks keep their promises, and the suite finds those that do not."""

import logging
import threading

import pytest

from aether.adapters.errors import BackgroundSink, CollectingSink, LogSink
from aether.testing import ErrorSinkContract, rejects


class Lines(logging.Handler):
    """Formats as a handler for the console does, traceback included, and lets nothing pass silently."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


def logger_with(handler):
    logger = logging.getLogger("aether.contract")
    logger.propagate = False
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG)
    return logger


class TestLogSink(ErrorSinkContract):
    def make(self):
        self.handler = Lines()
        return LogSink(logger_with(self.handler))

    def seen(self, sink):
        return self.handler.lines


class CollectingSuite(ErrorSinkContract):
    def make(self):
        return CollectingSink()

    def seen(self, sink):
        return [fault.what for fault in sink.faults]


class TestCollectingSink(CollectingSuite):
    pass


class TestBackgroundSink(ErrorSinkContract):
    def make(self):
        self.inner = CollectingSink()
        sink = BackgroundSink(self.inner)
        self.defer(sink.close)
        return sink

    def seen(self, sink):
        sink.close()
        return [fault.what for fault in self.inner.faults]


class DeafSink(CollectingSink):
    """Thinks that an info is no fault."""

    def on_error(self, fault, error=None):
        if fault.severity != "info":
            super().on_error(fault, error)


class PrintfSink(LogSink):
    """Takes the text for a format."""

    def __init__(self):
        self.lines = []

    def on_error(self, fault, error=None):
        self.lines.append(fault.what % ())


class PrintingSink(CollectingSink):
    """Prints the error, whatever that does."""

    def on_error(self, fault, error=None):
        super().on_error(fault, error)
        str(error)


class AsyncSink(CollectingSink):
    async def on_error(self, fault, error=None):
        super().on_error(fault, error)


class SlowSink(CollectingSink):
    def on_error(self, fault, error=None):
        threading.Event().wait(0.01)
        super().on_error(fault, error)


class StackSink(CollectingSink):
    """Keeps the newest first."""

    @property
    def faults(self):
        return super().faults[::-1]


class LoopBoundSink(CollectingSink):
    """Works in the thread that made it only."""

    def __init__(self):
        super().__init__()
        self.home = threading.get_ident()

    def on_error(self, fault, error=None):
        if threading.get_ident() != self.home:
            raise RuntimeError("wrong thread")
        super().on_error(fault, error)


class PrintfSuite(ErrorSinkContract):
    def seen(self, sink):
        return sink.lines


@pytest.mark.parametrize(
    ("suite", "broken", "by"),
    [
        (CollectingSuite, DeafSink, "test_a_fault_of_any_severity_is_taken"),
        (PrintfSuite, PrintfSink, "test_any_text_is_taken"),
        (CollectingSuite, PrintingSink, "test_any_error_is_taken"),
        (CollectingSuite, AsyncSink, "test_it_returns_nothing_to_wait_for"),
        (CollectingSuite, SlowSink, "test_it_does_not_block"),
        (CollectingSuite, StackSink, "test_faults_stay_in_order"),
        (CollectingSuite, LoopBoundSink, "test_it_may_be_called_from_any_thread"),
    ],
)
def test_the_suite_rejects(suite, broken, by):
    rejects(suite, broken, by=by, seconds=5)
