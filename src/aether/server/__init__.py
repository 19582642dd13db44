"""The server: what brings work in from other processes, and shows how it goes.

In: requests, and a `ports.Control` that carries them out. Out: answers, streams of events, pages, metrics.
Never: an engine, an adapter, a decision about a run: whatever a request means is for the engine to say.
"""
