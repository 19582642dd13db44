"""The runtime of function runs: what makes a plain Python function survive its process.

In: a function, its journal. Out: facts for the journal. Never: a store, the engine, wall time or chance.
"""
