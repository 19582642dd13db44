-- Statements of the opening: is this server good enough, and which migrations has it seen?

-- server: what the promises of a commit depend on
SELECT current_setting('server_version_num')::integer AS version,
    current_setting('server_encoding') AS encoding,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('transaction_read_only') AS read_only

-- lock: one migrating process at a time; ends with the transaction
SELECT pg_advisory_xact_lock($1)

-- has_migrations: whether this schema was ever migrated
SELECT to_regclass($1) IS NOT NULL

-- create_migrations: the table that remembers which migrations were applied, with the digest of their text
CREATE TABLE migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- migrations: those that were applied
SELECT number, name, checksum FROM migration ORDER BY number

-- add_migration: one more was applied
INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)
