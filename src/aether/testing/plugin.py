"""The pytest plugin: the seed of a test of workflows, told when it fails.

A project asks for it in its conftest. It is no entry point on purpose: pytest would take every module of
this package apart to rewrite its asserts, also in projects that never test a workflow. It imports nothing
of the engine until a test does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

_SEEDS = "aether.testing.seeds"
_VARIABLE = "AETHER_TEST_SEED"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("aether").addoption(
        "--aether-seed",
        metavar="SEED",
        type=int,
        help="Repeat tests of workflows with this seed, which a failing one has printed.",
    )


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--aether-seed", default=None)
    if seed is not None:
        os.environ[_VARIABLE] = str(seed)


def pytest_runtest_setup() -> None:
    seeds: Any = sys.modules.get(_SEEDS)
    if seeds is not None:
        seeds.used.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    seeds: Any = sys.modules.get(_SEEDS)
    if report.failed and seeds is not None and seeds.used:
        told = ", ".join(f"--aether-seed={seed}" for seed in seeds.used)
        report.sections.append(("aether", f"repeat it with {told}"))
    return report


@pytest.fixture
def aether_env() -> Any:
    """`aether.testing.Environment`, for tests that import nothing: `async with aether_env(app) as env:`"""
    from .environment import Environment

    return Environment
