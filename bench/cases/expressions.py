"""The expression language."""

from __future__ import annotations

import timeit

from aether.expr import CelEvaluator

from ..case import Sample, case, peak_rss_mb

TEXT = "tasks.build.outputs.parameters.os == 'linux' && tasks.build.phase == 'Succeeded'"
ENV = {"tasks.build.outputs.parameters.os": "linux", "tasks.build.phase": "Succeeded"}


@case("expression-evaluate", "evaluations", url="", tier="")
def evaluate() -> Sample:
    n = 200_000
    program = CelEvaluator().compile(TEXT)
    seconds = min(timeit.repeat(lambda: program.evaluate(ENV), number=n, repeat=3))
    get = ENV.get
    raw = timeit.timeit(
        lambda: get("tasks.build.outputs.parameters.os") == "linux" and get("tasks.build.phase"),
        number=n,
    )
    return Sample(n=n, seconds=seconds, cpu_s=seconds, rss_mb=peak_rss_mb(), limit=n / raw)


@case("expression-compile", "compilations", url="", tier="")
def compile_text() -> Sample:
    n = 2_000
    seconds = min(timeit.repeat(lambda: CelEvaluator().compile(TEXT), number=n, repeat=3))
    raw = timeit.timeit(lambda: compile(TEXT.replace("&&", "and"), "", "eval"), number=n)
    return Sample(n=n, seconds=seconds, cpu_s=seconds, rss_mb=peak_rss_mb(), limit=n / raw)
