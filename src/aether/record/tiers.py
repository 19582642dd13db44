"""How much of a run outlives its process: names only. A store with tiers acts on them; `plan` never asks."""

from __future__ import annotations

MEMORY = "memory"
SNAPSHOT = "snapshot"
ACTION_LOG = "state-action-log"
TIERS = (MEMORY, SNAPSHOT, ACTION_LOG)
