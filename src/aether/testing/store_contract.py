"""What every Store promises."""

from __future__ import annotations

from .store_cluster_contract import ClusterPromises
from .store_commit_contract import CommitPromises
from .store_definitions_contract import DefinitionPromises
from .store_forks_contract import ForkPromises
from .store_payloads_contract import PayloadPromises
from .store_reading_contract import ReadingPromises


class RowsContract(
    CommitPromises, ReadingPromises, DefinitionPromises, ForkPromises, PayloadPromises
):
    """What a store promises of rows and values: for one that a single engine holds in its own process,
    above a store that engines share."""


class StoreContract(RowsContract, ClusterPromises):
    """Every sentence of the port's docstring, as tests. `make` returns a fresh and empty store, not
    opened yet; override `reopen` too where more than the object outlives it.

    What it cannot provoke is what a store says when its disk or server fails.
    """
