"""One folder a port, one file a technology: what stands behind the promises of `ports`.

In: calls of a port. Out: its answers; drivers' errors become ours at this edge. Never: knowing another
adapter, rules about runs, imports of optional libraries before they are used.
"""
