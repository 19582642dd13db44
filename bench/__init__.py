"""Benchmarks: `python -m bench [CASE…]`. Each case runs in fresh processes, beside a raw limit of the
machine for the same work, and the medians are printed with their spread."""
