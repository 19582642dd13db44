"""The store that lasts as long as its object: everything in one process, nothing on disk."""

from .store import MemoryStore as MemoryStore
