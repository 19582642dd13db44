"""Calls that belong outside of workflow functions."""

from __future__ import annotations

from ..errors import InvalidState, Problem
from ..flow import current_context


def must_be_outside(call: str) -> None:
    """Raises InvalidState `inside-workflow`: what an app is asked is not recorded, and no replay could
    repeat it."""
    if current_context() is not None:
        raise InvalidState(
            Problem(
                "inside-workflow",
                f"{call} was called by a workflow function, where no replay could repeat it",
                fix="to run a workflow: `await ctx.child(workflow, …)`; anything else belongs into a "
                'step: `await ctx.step("name", function, …)`',
            )
        )
