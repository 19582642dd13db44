-- The whole schema as it stands: the sum of the migrations, for reading. A test compares the two.

-- Which migrations were applied, with the digest of their text.
CREATE TABLE migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

-- One row: how often the store was opened to write. Tokens start with it, so none is given twice.
CREATE TABLE opening (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL) STRICT;
INSERT INTO opening VALUES (1, 0);

-- What is asked for stands in columns; `body` is the whole row. `open` is 1 while somebody must look,
-- `owner` the session whose engine does, `failed` the phase of a run that ended without success.
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    namespace TEXT NOT NULL,
    cron_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    document BLOB NOT NULL,
    phase TEXT NOT NULL,
    open INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    due_at INTEGER,
    token INTEGER NOT NULL,
    large INTEGER NOT NULL,
    body BLOB NOT NULL,
    failed TEXT GENERATED ALWAYS AS (
        -- Not as a list of phases: SQLite makes a table of one, anew for each statement.
        CASE phase
            WHEN 'Failed' THEN phase WHEN 'Error' THEN phase
            WHEN 'Timeout' THEN phase WHEN 'Cancelled' THEN phase
        END
    ) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX run_by_id ON run (run_id);
CREATE INDEX run_by_creation ON run (created_at, run_id);
CREATE INDEX run_by_cron ON run (cron_id, created_at, run_id) WHERE cron_id <> '';
CREATE INDEX run_by_name ON run (name, created_at, run_id);
CREATE INDEX run_open ON run (owner, run_id) WHERE open = 1;
CREATE INDEX run_unsuccessful ON run (failed, created_at, run_id) WHERE failed IS NOT NULL;

-- The labels and attributes of runs: what is asked for by label is found in the order of listings.
CREATE TABLE run_label (
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (label, value, created_at, run_id)
) STRICT, WITHOUT ROWID;

-- Large arguments and variables never change, so they stay out of the row that decisions rewrite;
-- `large` is 1 in the row of such a run.
CREATE TABLE run_input (run INTEGER PRIMARY KEY, arguments BLOB, variables BLOB) STRICT;

CREATE TABLE task (
    run INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run, ordinal)
) STRICT, WITHOUT ROWID;

-- What others have to say to the engine that owns a run; `answer` is null while it waits.
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL,
    answer BLOB,
    UNIQUE (run, key)
) STRICT;
CREATE INDEX message_waiting ON message (number) WHERE answer IS NULL;

CREATE TABLE hook (
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,
    open INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- Entries stand in the order in which they came: a commit appends them to few pages, where ordered by
-- run each of them would rewrite a page of older ones.
CREATE TABLE log (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX log_by_run ON log (run, seq);

-- The text stands apart, so that counting one more run rewrites a few bytes only.
CREATE TABLE document (
    digest BLOB PRIMARY KEY,
    runs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE document_text (digest BLOB NOT NULL UNIQUE, text BLOB NOT NULL) STRICT;

CREATE TABLE cron (
    cron_id TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- `number` grows with every put: among versions of one instant the later one is the newer.
CREATE TABLE template (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (name, version)
) STRICT;

CREATE TABLE executor_schema (
    worker_id TEXT NOT NULL,
    type TEXT NOT NULL,
    schema BLOB NOT NULL,
    PRIMARY KEY (worker_id, type)
) STRICT, WITHOUT ROWID;

-- Large values of all runs, each once. `data` is opaque: compressed, and sealed if there is a key.
CREATE TABLE payload (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;

-- Which runs brought them, each for as long as it exists.
CREATE TABLE payload_use (
    run INTEGER NOT NULL,
    payload INTEGER NOT NULL,
    PRIMARY KEY (run, payload)
) STRICT, WITHOUT ROWID;
CREATE INDEX payload_by_use ON payload_use (payload);

-- Those that somebody brought who was deleted since: to be looked at, and deleted if he was the last.
CREATE TABLE payload_loose (payload INTEGER PRIMARY KEY) STRICT;
CREATE TRIGGER run_lets_go AFTER DELETE ON run BEGIN
    INSERT INTO payload_loose SELECT payload FROM payload_use WHERE run = old.number
        ON CONFLICT DO NOTHING;
    DELETE FROM payload_use WHERE run = old.number;
END;

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
