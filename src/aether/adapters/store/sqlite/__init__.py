"""The default store: one SQLite file, written by one engine, with every acknowledged change on disk.

In: the Store port's calls. Out: rows. Never: the driver loaded before a store is opened.
"""

from .files import sqlite_path as sqlite_path
from .store import SqliteStore as SqliteStore
