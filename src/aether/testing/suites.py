"""What every contract suite stands on, and the proof that a suite can find a fault.

A suite is a class of tests over `self.make()`, the adapter under test. An adapter's author subclasses it
in a file that pytest collects. The tests take no fixtures, so that they run without pytest as well:
`rejects` runs them over an adapter that is broken on purpose and demands that one of them fails.

    class TestMyWatcher(TimeoutWatcherContract):
        def make(self, clock):
            return MyWatcher(clock)

    def test_contract_finds_a_watcher_that_forgets():
        rejects(TimeoutWatcherContract, ForgetfulWatcher, by="test_due_runs_are_called")
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Cleanup = Callable[[], "Awaitable[object] | object"]


class ContractSuite:
    """Each test runs in an event loop of its own, within `seconds`, whether it is async or not.

    `self.defer(callback)` runs a callback when the test is over, in the same loop, last one first; it
    may be async. `self.folder()` is a fresh directory that lasts as long as the test. What the loop's
    exception handler was told is in `self.loop_errors`. A test that passes but leaves tasks running
    fails: close what you open.
    """

    seconds = 10.0

    # pytest makes a new instance for each test, and allows no __init__: the wrapper fills these.
    loop_errors: list[dict[str, Any]]
    _deferred: list[Cleanup]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, member in list(vars(cls).items()):
            if name.startswith("test") and inspect.isfunction(member):
                setattr(cls, name, _runnable(member))

    def defer(self, callback: Cleanup) -> None:
        self._deferred.append(callback)

    def folder(self) -> Path:
        held = tempfile.TemporaryDirectory(prefix="aether-contract-", ignore_cleanup_errors=True)
        self.defer(held.cleanup)
        return Path(held.name).resolve()

    async def _carry_out(self, test: Callable[..., Any], given: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.loop_errors.append(context))
        before = asyncio.all_tasks()
        try:
            try:
                async with asyncio.timeout(self.seconds) as limit:
                    await _awaited(test(self, **given))
            except TimeoutError as exc:
                if not limit.expired():
                    raise
                raise AssertionError(
                    f"{test.__name__} timed out ({self.seconds} s at most): the adapter hangs"
                ) from exc
        finally:
            while self._deferred:
                async with asyncio.timeout(self.seconds):
                    await _awaited(self._deferred.pop()())
        for _ in range(10):  # a cancelled task needs a few rounds to end
            await asyncio.sleep(0)
        left = [task.get_name() for task in asyncio.all_tasks() - before if not task.done()]
        assert not left, f"{test.__name__} left tasks running: {', '.join(sorted(left))}"


async def _awaited(result: object) -> object:
    return await result if inspect.isawaitable(result) else result


def _runnable(test: Callable[..., Any]) -> Callable[..., None]:
    if "carried_out" in vars(test):
        return test

    @functools.wraps(test)
    def run(self: ContractSuite, **given: Any) -> None:
        self.loop_errors = []
        self._deferred = []
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(self._carry_out(test, given))

    vars(run)["carried_out"] = True
    return run


class Rejection(Exception):
    """The factory handed to `rejects` or `accepts` cannot be judged: it fails before any test does."""


def tests_of(suite: type[ContractSuite]) -> list[str]:
    """The names of a suite's tests, in the order in which they are written, base classes first."""
    names: dict[str, None] = {}
    for base in reversed(suite.__mro__):
        names.update(dict.fromkeys(name for name in vars(base) if name.startswith("test")))
    return list(names)


def failures(
    suite: type[ContractSuite],
    factory: Callable[..., object],
    *,
    only: str = "",
    first: bool = False,
    seconds: float = 1.0,
) -> dict[str, BaseException]:
    """Run the suite's tests over what `factory` makes: the tests that failed, with their errors.

    `factory` is called with the arguments that the suite gives to `make`, and may be async if `make`
    is. `only` names one test to run; `first` stops at the first failure. A test that takes longer than
    `seconds` has failed. Call it from a plain test: it runs event loops of its own.
    """
    names = tests_of(suite)
    if only and only not in names:
        raise Rejection(f"{suite.__name__} has no test {only}; it has {', '.join(names)}")
    judged = type(f"Judged{suite.__name__}", (suite,), {"make": _make(suite, factory)})
    found: dict[str, BaseException] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a broken adapter may leave coroutines and sockets behind
        for name in [only] if only else names:
            error = _failure(judged, name, seconds)
            if error is not None:
                found[name] = error
                if first:
                    break
        gc.collect()
    return found


def rejects(
    suite: type[ContractSuite],
    broken: Callable[..., object],
    *,
    by: str = "",
    seconds: float = 1.0,
) -> str:
    """Assert that the suite finds out an adapter that is broken on purpose; name the test that did.

    With `by` that test, and no other, has to find it: so the fault found is the one that was planted. A
    factory that raises is a mistake in the test and no rejection.
    """
    found = failures(suite, broken, only=by, first=True, seconds=seconds)
    name = getattr(broken, "__name__", repr(broken))
    assert found, f"{suite.__name__}{'.' + by if by else ''} accepts {name}, which is broken"
    return next(iter(found))


def accepts(
    suite: type[ContractSuite], factory: Callable[..., object], *, seconds: float = 10.0
) -> None:
    """Raise the first failure of the suite over a good adapter: the counterpart of `rejects`."""
    for error in failures(suite, factory, first=True, seconds=seconds).values():
        raise error


def _make(suite: type[ContractSuite], factory: Callable[..., object]) -> Callable[..., object]:
    def build(args: tuple[Any, ...], given: dict[str, Any]) -> object:
        try:
            return factory(*args, **given)
        except Exception as exc:
            raise Rejection(f"the factory {factory!r} failed: {exc!r}") from exc

    async def make_async(_: ContractSuite, *args: Any, **given: Any) -> object:
        return await _awaited(build(args, given))

    def make(_: ContractSuite, *args: Any, **given: Any) -> object:
        return build(args, given)

    return make_async if inspect.iscoroutinefunction(getattr(suite, "make", None)) else make


def _failure(judged: type[ContractSuite], name: str, seconds: float) -> BaseException | None:
    instance = judged()
    instance.seconds = seconds
    try:
        getattr(instance, name)()
    except (KeyboardInterrupt, SystemExit, Rejection):
        raise
    except BaseException as exc:  # noqa: BLE001  pytest's outcomes are no Exceptions
        return None if type(exc).__name__ == "Skipped" else exc
    return None
