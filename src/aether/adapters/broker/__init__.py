"""Brokers: how assignments travel from the engine to workers, and results back.

In: assignments and cancellations. Out: deliveries, starts, results. Never: rules about phases, retries.
"""

from .local import LocalBroker as LocalBroker
