"""Registries of workers."""

from .memory import MemoryWorkers as MemoryWorkers
