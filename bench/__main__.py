"""`python -m bench [CASE…] [--runs N] [--out FILE]`: measure, print a table, write JSON lines."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median

import msgspec

from . import cases as cases
from .case import REGISTRY, Case, Sample


class Row(msgspec.Struct, kw_only=True):
    """The medians of a case, as they stand in the JSON lines. `spread` is (max - min) / median."""

    case: str
    url: str
    tier: str
    n: int
    in_flight: int
    seconds: float
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_s: float
    rss_mb: float
    limit: float | None
    limit_ratio: float | None
    spread: float
    runs: int
    extra: dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"any of: {', '.join(REGISTRY)}")
    parser.add_argument("--runs", type=int, default=5, help="measurements of each case")
    parser.add_argument("--out", type=Path, default=Path("out/bench.jsonl"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in REGISTRY]
    if unknown:
        parser.error(f"there is no case {unknown[0]!r}; there are: {', '.join(REGISTRY)}")
    if options.one:
        sys.stdout.buffer.write(msgspec.json.encode(REGISTRY[options.cases[0]].measure()))
        return 0
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{'case':22} {'n':>7} {'time':>10} {'rate':>14} {'spread':>7} {'of limit':>9}  bar")
    with options.out.open("wb") as lines:
        for name in options.cases or REGISTRY:
            row = measure(REGISTRY[name], options.runs)
            lines.write(msgspec.json.encode(row) + b"\n")
            lines.flush()
            print(in_words(REGISTRY[name], row), flush=True)
    print(f"written to {options.out}")
    return 0


def measure(case: Case, runs: int) -> Row:
    """Each measurement in a process of its own, so that none inherits another's memory."""
    samples = [_sample(case.name) for _ in range(runs)]
    seconds = [sample.seconds for sample in samples]
    limits = [sample.limit for sample in samples if sample.limit is not None]
    middle = sorted(samples, key=lambda sample: sample.seconds)[len(samples) // 2]
    limit = median(limits) if limits else None
    return Row(
        case=case.name,
        url=case.url,
        tier=case.tier,
        n=middle.n,
        in_flight=middle.in_flight,
        seconds=middle.seconds,
        per_second=middle.per_second,
        p50_ms=middle.p50_ms,
        p99_ms=middle.p99_ms,
        cpu_s=middle.cpu_s,
        rss_mb=middle.rss_mb,
        limit=limit,
        limit_ratio=middle.per_second / limit if limit else None,
        spread=(max(seconds) - min(seconds)) / median(seconds),
        runs=runs,
        extra={key: median(s.extra[key] for s in samples) for key in middle.extra},
    )


def _sample(name: str) -> Sample:
    command = [sys.executable, "-m", "bench", name, "--one"]
    result = subprocess.run(command, check=True, capture_output=True)
    return msgspec.json.decode(result.stdout, type=Sample)


def in_words(case: Case, row: Row) -> str:
    ratio = "" if row.limit_ratio is None else f"{row.limit_ratio:.3f}"
    more = "".join(f"  {key}={value:,.2f}" for key, value in row.extra.items())
    latency = "" if row.p50_ms is None else f"  p50={row.p50_ms:.2f}ms p99={row.p99_ms:.2f}ms"
    cpu = f"  cpu={row.cpu_s / row.n * 1_000_000:,.1f}us" if row.cpu_s else ""
    return (
        f"{row.case:22} {row.n:>7,} {row.seconds * 1000:>8.1f}ms"
        f" {row.per_second:>9,.0f} {case.unit[:4]}/s {row.spread:>6.0%} {ratio:>9}"
        f"  {case.bar}{latency}{cpu}{more}"
    )


sys.exit(main())
