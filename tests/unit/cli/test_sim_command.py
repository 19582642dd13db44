"""`aether sim`: workflows that bear a crash at every step, and those that do not."""

from __future__ import annotations

import json
import textwrap

import pytest
from click.testing import CliRunner

from aether.cli.sim import command
from aether.testing.simulation.search import smallest
from aether.testing.simulation.trial import Strike, Trial

SOUND = """
    from aether import Aether

    app = Aether("memory:")

    @app.activity
    def charge(order: int) -> str:
        return f"paid {order}"

    @app.workflow
    async def order(ctx, n: int = 1):
        await ctx.step("reserve", lambda: n)
        await ctx.sleep("2h")
        if await ctx.wait_for("approval") != "yes":
            raise ValueError("refused")
        return await charge(n)
"""
COUNTING = """
    from aether import Aether

    app = Aether("memory:")
    charged = []

    @app.activity
    def charge(order: int) -> int:
        charged.append(order)
        return len(charged)

    @app.workflow
    async def order(ctx, n: int = 1):
        await ctx.step("reserve", lambda: n)
        return await charge(n)
"""
CHANGING = """
    from aether import Aether

    app = Aether("memory:")
    lives = __import__("simulated_world").lives
    lives.append(1)

    @app.workflow
    async def order(ctx):
        await ctx.step(f"look {len(lives)}", lambda: 1)
        await ctx.step("end", lambda: 2)
"""
PLAIN = """
    from aether import Aether

    app = Aether("memory:")

    @app.workflow
    def order(ctx):
        return 1
"""


@pytest.fixture
def sim(tmp_path):
    """Runs the command on a file with this code: the exit code, and what it printed."""

    def run(code, *options, name="order"):
        path = tmp_path / "shop.py"
        path.write_text(textwrap.dedent(code))
        found = CliRunner().invoke(command, [f"{path}:{name}", *options], standalone_mode=False)
        if found.exception is not None:
            raise found.exception
        return found.return_value, found.output

    return run


def test_a_sound_workflow_ends_the_same_wherever_its_process_dies(sim):
    code, told = sim(SOUND, "--signal", "approval=yes", "--seeds", "60", "-a", "n=7", "--json")
    data = json.loads(told)
    assert (code, data["ok"], data["findings"]) == (0, True, [])
    assert data["undisturbed"] == "Succeeded with ['paid 7']"
    assert data["crashes"] > 30
    assert data["repeated"]["charge"] > 0


def test_an_activity_that_is_not_idempotent_is_reported_as_executed_twice(sim):
    code, told = sim(COUNTING, "--seeds", "40")
    assert code == 7
    assert "activity 'charge' was executed 2 times for one call, and answered 1, then 2" in told
    assert "FAILED not-idempotent: aether sim" in told


def test_what_fails_is_shown_with_the_smallest_schedule_and_its_seed_repeats_it(sim):
    _, told = sim(COUNTING, "--seeds", "40", "--json")
    [finding] = json.loads(told)["findings"]
    assert [strike["point"] for strike in finding["schedule"]] == ["repeat"]
    _, told = sim(COUNTING, "--seed", str(finding["seed"]), "--json")
    assert json.loads(told)["findings"] == [finding]


def test_what_has_nothing_to_do_with_a_fault_is_left_out_of_its_schedule():
    needed = {Strike("crash-after-commit", 2), Strike("slow", 1)}

    def run(schedule):
        return Trial(fault="never-ends" if needed <= set(schedule) else "", phase="Succeeded")

    others = [Strike("skew", 1), Strike("store-away", 3), Strike("repeat", 1)]
    found = smallest(run, sorted([*needed, *others]), "never-ends", run([]))
    assert set(found) == needed


def test_code_that_does_other_things_in_another_process_is_found(sim, monkeypatch):
    import sys
    from types import SimpleNamespace

    monkeypatch.setitem(sys.modules, "simulated_world", SimpleNamespace(lives=[]))
    code, told = sim(CHANGING, "--seeds", "40")
    assert code == 7
    assert "FAILED non-deterministic" in told
    assert "look" in told


def test_a_signal_that_nobody_sends_is_asked_for(sim):
    code, told = sim(SOUND, "--seeds", "5")
    assert code == 7
    assert "give --signal approval=VALUE" in told


def test_a_workflow_that_fails_as_it_should_is_no_finding(sim):
    code, told = sim(SOUND, "--signal", "approval=no", "--seeds", "20")
    assert code == 0
    assert "undisturbed: Failed with ValueError: refused" in told


def test_a_plain_workflow_is_refused_with_another_way(sim):
    with pytest.raises(Exception, match="crash_at_every_step"):
        sim(PLAIN)


def test_an_unknown_workflow_is_refused_with_those_there_are(sim):
    with pytest.raises(Exception, match="it has: order"):
        sim(SOUND, name="odrer")
