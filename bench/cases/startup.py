"""How long a person waits before anything happens."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from ..case import Sample, case, peak_rss_mb

TIMES = 7


def _process(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _startup(*arguments: str) -> Sample:
    _process(*arguments)  # byte code is compiled once
    seconds = median(_process(*arguments) for _ in range(TIMES))
    bare = median(_process("-c", "pass") for _ in range(TIMES))
    return Sample(n=1, seconds=seconds, rss_mb=peak_rss_mb(), limit=1 / bare)


@case("start-help", "starts", bar="at most 120 ms", url="", tier="")
def start_help() -> Sample:
    return _startup("-m", "aether.cli", "--help")


@case("start-import", "starts", bar="at most 100 ms", url="", tier="")
def start_import() -> Sample:
    return _startup("-c", "import aether")


@case("start-aether", "starts", url="", tier="")
def start_aether() -> Sample:
    """The first use of the class loads the engine and every default adapter."""
    return _startup("-c", "import aether; aether.Aether")
