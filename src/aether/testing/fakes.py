"""Fakes for activities and steps: other functions in their places, which count how they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

Args = tuple[tuple[Any, ...], dict[str, Any]]


class Fake:
    """Stands for the activity or step `name` until it is withdrawn, also by the end of a `with` block.

    `calls` are (args, kwargs) of each call so far. `function` may be async, return, raise, or be a list
    of what to return or raise, one for each call; the last one stays.
    """

    def __init__(self, name: str, function: Any, withdraw: Callable[[Fake], None]) -> None:
        self.name = name
        self.calls: list[Args] = []
        self._function = function
        self._withdraw = withdraw

    @property
    def count(self) -> int:
        return len(self.calls)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs))
        answer = self._function
        if isinstance(answer, list):
            answer = answer[min(len(self.calls), len(answer)) - 1]
        elif callable(answer) and not _is_error(answer):
            answer = answer(*args, **kwargs)
        if inspect.isawaitable(answer):
            answer = await answer
        if _is_error(answer):
            raise answer
        return answer

    def withdraw(self) -> None:
        """The real function is called again."""
        self._withdraw(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.withdraw()


def _is_error(answer: Any) -> bool:
    return isinstance(answer, BaseException) or (
        isinstance(answer, type) and issubclass(answer, BaseException)
    )


class Fakes:
    """Which functions stand for which. The newest of a name counts."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[Fake]] = {}

    def add(self, name: str, function: Any) -> Fake:
        fake = Fake(name, function, self._remove)
        self._by_name.setdefault(name, []).append(fake)
        return fake

    def of(self, name: str) -> Fake | None:
        fakes = self._by_name.get(name)
        return fakes[-1] if fakes else None

    def _remove(self, fake: Fake) -> None:
        fakes = self._by_name.get(fake.name, [])
        if fake in fakes:
            fakes.remove(fake)
