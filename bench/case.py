"""What a case is, and what one measurement of it says."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence

import msgspec

REGISTRY: dict[str, Case] = {}


class Sample(msgspec.Struct, kw_only=True):
    """One measurement. `limit` is what the machine did in the same unit without Aether."""

    n: int
    in_flight: int = 1
    seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_s: float = 0.0
    rss_mb: float = 0.0
    limit: float | None = None
    extra: dict[str, float] = {}

    @property
    def per_second(self) -> float:
        return self.n / self.seconds if self.seconds else 0.0


class Case(msgspec.Struct):
    """`unit` says what `n` counts; `bar` is what we hold ourselves to, in words."""

    name: str
    measure: Callable[[], Sample]
    unit: str
    bar: str = ""
    url: str = ""
    tier: str = ""


def case(
    name: str, unit: str, bar: str = "", url: str = "memory:", tier: str = "memory"
) -> Callable[[Callable[[], Sample]], Callable[[], Sample]]:
    def register(measure: Callable[[], Sample]) -> Callable[[], Sample]:
        REGISTRY[name] = Case(name, measure, unit, bar, url, tier)
        return measure

    return register


class Stopwatch:
    """Wall and CPU time of a block."""

    def __enter__(self) -> Stopwatch:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc: object) -> None:
        self.seconds = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu


def peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rss_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
