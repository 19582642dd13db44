"""Stores: where rows are kept.

In: commits and queries. Out: copies of rows. Never: rules about phases, or a look inside a payload.
"""

from .bridges import RecordsOver as RecordsOver
from .bridges import store_from as store_from
from .memory import MemoryStore as MemoryStore
from .postgres import PostgresStore as PostgresStore
from .sqlite import SqliteStore as SqliteStore
from .sqlite import sqlite_path as sqlite_path
