"""The store for a PostgreSQL server: many processes may share it, each run guarded by its token.

Needs the extra `postgres` (asyncpg), which is imported when the store opens.
"""

from .store import PostgresStore as PostgresStore
