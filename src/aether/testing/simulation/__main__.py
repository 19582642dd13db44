"""`python -m aether.testing.simulation`: run seeds, tell what broke, which faults struck and how fast."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from time import perf_counter

from . import EVENTS, POINTS, Report, simulate

_FRESH = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    hits: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    events = runs = failed = 0
    until = perf_counter() + options.seconds if options.seconds else None
    seconds = 0.0
    done: list[int] = []
    for seed in _seeds(options):
        report = simulate(seed, options.events, alone=options.alone)
        done.append(seed)
        events, runs, seconds = (
            events + report.events,
            runs + report.runs,
            seconds + report.seconds,
        )
        hits.update(report.faults)
        seen.update(report.seen)
        failed += bool(report.breaches)
        _say(_lines(report, options))
        if until is not None and perf_counter() > until:
            break
    _say(_summary(done, events, runs, seconds, hits))
    if options.seen:
        _say(f"  {count:9}  {what}" for what, count in sorted(seen.items()))
    missing = [point for point in POINTS if not hits[point]]
    if missing and options.coverage:
        _say([f"error: no seed has hit {', '.join(missing)}"])
        failed += 1
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aether.testing.simulation", description=__doc__
    )
    parser.add_argument("--seed", type=int, help="one seed, and what it came to")
    parser.add_argument("--seeds", type=int, default=0, help="so many seeds from 0 on")
    parser.add_argument("--first", type=int, default=0, help="the first of --seeds")
    parser.add_argument("--fresh", type=int, default=0, help="and so many that nobody chose")
    parser.add_argument("--events", type=int, default=EVENTS, help="events until the faults stop")
    parser.add_argument("--seconds", type=float, help="begin no other seed after so long")
    parser.add_argument("--alone", action="store_true", help="one engine, documents, the whole log")
    parser.add_argument("--coverage", action="store_true", help="a fault never hit is an error")
    parser.add_argument("--seen", action="store_true", help="show what happened how often")
    return parser


def _seeds(options: argparse.Namespace) -> Iterator[int]:
    if options.seed is not None:
        yield options.seed
        return
    yield from range(options.first, options.first + options.seeds)
    for _ in range(options.fresh):
        yield secrets.randbelow(_FRESH)


def _lines(report: Report, options: argparse.Namespace) -> Iterator[str]:
    if options.seed is not None:
        yield f"seed {report.seed}: {report.events} events, {report.runs} runs, {report.digest}"
    if not report.breaches:
        return
    yield f"FAILED: {repeat(report.seed, options.events)}{' --alone' if options.alone else ''}"
    for breach in report.breaches[:5]:
        yield f"  {breach}"


def repeat(seed: int, events: int) -> str:
    """The one line that repeats a seed."""
    return f"python -m aether.testing.simulation --seed {seed} --events {events}"


def _summary(
    done: list[int], events: int, runs: int, seconds: float, hits: Counter[str]
) -> Iterator[str]:
    yield (
        f"{len(done)} seeds ({min(done)} to {max(done)}), {events} events, {runs} runs, "
        f"{sum(hits.values())} faults, {events / seconds:.0f} events a second"
    )
    for point in POINTS:
        yield f"  {hits[point]:9}  {point}: {POINTS[point]}"


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
