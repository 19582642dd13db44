"""What every Store promises."""

from __future__ import annotations

from .store_commit_contract import CommitPromises
from .store_definitions_contract import DefinitionPromises
from .store_reading_contract import ReadingPromises


class StoreContract(CommitPromises, ReadingPromises, DefinitionPromises):
    """Every sentence of the port's docstring, as tests. `make` returns a fresh and empty store, not
    opened yet; override `reopen` too where more than the object outlives it.

    What it cannot provoke is what a store says when its disk or server fails.
    """
