-- Statements of readers, each a whole answer, so that it comes from one moment.

-- run: a run's own row
SELECT token, owner, body, changes FROM run WHERE run_id = $1

-- rows: the rows of many runs, each with the run's id and its kind: 0 run, 1 task, 2 hook
WITH asked AS MATERIALIZED (
    SELECT number, run_id, token, owner, body, changes FROM run WHERE run_id = ANY ($1)
)
SELECT run_id, 0 AS kind, 0 AS place, token, owner, body, changes FROM asked
UNION ALL SELECT run_id, 1, ordinal, 0, 0, task.body, task.changes
FROM asked JOIN task ON task.run = asked.number
UNION ALL SELECT run_id, 2, hook.number, 0, 0, hook.body, hook.changes
FROM asked JOIN hook ON hook.run = asked.number
ORDER BY 2, 3

-- document: a document's text
SELECT text FROM document WHERE digest = $1

-- unfinished: runs at which somebody must look, by id behind a cursor, gathered from all owners
WITH RECURSIVE owners AS (
    (SELECT owner FROM run WHERE open ORDER BY owner LIMIT 1)
    UNION ALL
    SELECT (SELECT run.owner FROM run WHERE open AND run.owner > owners.owner
        ORDER BY run.owner LIMIT 1)
    FROM owners WHERE owners.owner IS NOT NULL
)
SELECT held.run_id, held.due_at, owners.owner FROM owners CROSS JOIN LATERAL (
    SELECT run_id, due_at FROM run WHERE open AND run.owner = owners.owner AND run_id > $1
    ORDER BY run_id LIMIT $2
) AS held
ORDER BY held.run_id LIMIT $2

-- runs: runs that an index holds in order; the words in braces are filled in from the query
SELECT token, owner, body, changes FROM run WHERE {conditions}
ORDER BY created_at {order}, run_id {order} LIMIT $1

-- labelled_runs: runs that bear a label
SELECT run.token, run.owner, run.body, run.changes
FROM (SELECT run, created_at, run_id FROM run_label
    WHERE {conditions} ORDER BY created_at {order}, run_id {order} LIMIT $1) AS labelled
JOIN run ON run.number = labelled.run AND run.run_id = labelled.run_id
ORDER BY labelled.created_at {order}, labelled.run_id {order}

-- count_runs: how many an index holds, up to a number
SELECT count(*) FROM (SELECT 1 FROM run WHERE {conditions} ORDER BY run_id LIMIT $1) AS counted

-- few_runs: runs that are to be put in order, found without a walk through all of them
WITH few AS MATERIALIZED (
    SELECT created_at, run_id, token, owner, body, changes FROM run WHERE {conditions}
)
SELECT token, owner, body, changes FROM few ORDER BY created_at {order}, run_id {order} LIMIT $1

-- history: a run's log entries behind a number, those that it shares among them
WITH RECURSIVE part (run, upto) AS (
    SELECT number, 9223372036854775807 FROM run WHERE run_id = $1
    UNION ALL
    SELECT fork.origin, least(part.upto, fork.seq)
    FROM part JOIN fork ON fork.run = part.run WHERE fork.origin IS NOT NULL
)
SELECT entry.seq, entry.at, entry.body FROM part CROSS JOIN LATERAL (
    SELECT seq, at, body FROM log WHERE log.run = part.run AND seq > $2 AND seq <= part.upto
    ORDER BY seq LIMIT $3
) AS entry ORDER BY seq LIMIT $3

-- forks: the runs of some lines
SELECT run.token, run.owner, run.body, run.changes
FROM fork JOIN run ON run.run_id = fork.run_id AND run.number = fork.run
WHERE fork.root = ANY ($1) ORDER BY run.created_at, run.run_id

-- payloads: large values by their digests
SELECT digest, data FROM payload WHERE digest = ANY ($1)
