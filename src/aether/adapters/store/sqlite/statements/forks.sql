-- Forks: where runs come from, and logs that several of them share.

-- add_fork: a new run that comes from another
INSERT INTO fork (run, root, origin, seq) VALUES (?, ?, ?, ?)

-- forks: the runs of some lines
SELECT run.number, run.large, run.body FROM fork JOIN run ON run.number = fork.run
WHERE fork.root IN (SELECT value FROM json_each(?)) ORDER BY run.created_at, run.run_id

-- log_parts: the runs in whose names the entries of a run stand, its own first, each up to a number
WITH RECURSIVE part (run, upto) AS (
    SELECT number, 9223372036854775807 FROM run WHERE run_id = ?
    UNION ALL
    SELECT fork.origin, min(part.upto, fork.seq)
    FROM part JOIN fork ON fork.run = part.run WHERE fork.origin IS NOT NULL
)
SELECT run, upto FROM part

-- inherit: what a run that is about to be deleted brought, those that share its log have brought too
WITH RECURSIVE heir (run) AS (
    SELECT fork.run FROM run JOIN fork ON fork.origin = run.number WHERE run.run_id = ?1
    UNION
    SELECT fork.run FROM heir JOIN fork ON fork.origin = heir.run
)
INSERT INTO payload_use (run, payload)
SELECT heir.run, payload_use.payload
FROM heir JOIN fork ON fork.run = heir.run AND fork.root IS NOT NULL
JOIN payload_use ON payload_use.run = (SELECT number FROM run WHERE run_id = ?1)
WHERE true ON CONFLICT DO NOTHING

-- run_gone: a run was deleted; whoever shares its log goes on doing so
UPDATE fork SET root = NULL WHERE run = ?

-- origin_gone: likewise
UPDATE fork SET origin_gone = 1 WHERE origin = ?

-- shared: how far others share the log of a run
SELECT max(seq) FROM fork WHERE origin = ?

-- trim_log: what nobody shares of the log of a deleted run
DELETE FROM log WHERE run = ? AND seq > ?

-- delete_log: the whole log of a deleted run
DELETE FROM log WHERE run = ?

-- delete_fork: nobody shares the log of a deleted run
DELETE FROM fork WHERE run = ? RETURNING origin, origin_gone
