-- Runs that come from others: the run with which their line began, and the one whose log they share, up to
-- `seq`. The row of a deleted run loses its root, and stays as long as others share its log.
CREATE TABLE fork (
    run INTEGER PRIMARY KEY,
    root TEXT,
    origin INTEGER,
    seq INTEGER,
    origin_gone INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX fork_by_root ON fork (root) WHERE root IS NOT NULL;
CREATE INDEX fork_by_origin ON fork (origin, seq) WHERE origin IS NOT NULL;
