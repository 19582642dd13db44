-- Statements of readers, each a whole answer, so that it comes from one moment.

-- run: a run's own row
SELECT token, body, changes FROM run WHERE run_id = $1

-- rows: the rows of many runs, each with the run's id and its kind: 0 run, 1 task, 2 hook
WITH asked AS MATERIALIZED (
    SELECT number, run_id, token, body, changes FROM run WHERE run_id = ANY ($1)
)
SELECT run_id, 0 AS kind, 0 AS place, token, body, changes FROM asked
UNION ALL SELECT run_id, 1, ordinal, 0, task.body, task.changes
FROM asked JOIN task ON task.run = asked.number
UNION ALL SELECT run_id, 2, hook.number, 0, hook.body, hook.changes
FROM asked JOIN hook ON hook.run = asked.number
ORDER BY 2, 3

-- document: a document's text
SELECT text FROM document WHERE digest = $1

-- unfinished: runs at which somebody must look, by id behind a cursor
SELECT run_id, due_at FROM run WHERE open AND run_id > $1 ORDER BY run_id LIMIT $2

-- runs: runs that an index holds in order; the words in braces are filled in from the query
SELECT token, body, changes FROM run WHERE {conditions}
ORDER BY created_at {order}, run_id {order} LIMIT $1

-- labelled_runs: runs that bear a label
SELECT run.token, run.body, run.changes
FROM (SELECT run, created_at, run_id FROM run_label
    WHERE {conditions} ORDER BY created_at {order}, run_id {order} LIMIT $1) AS labelled
JOIN run ON run.number = labelled.run AND run.run_id = labelled.run_id
ORDER BY labelled.created_at {order}, labelled.run_id {order}

-- count_runs: how many an index holds, up to a number
SELECT count(*) FROM (SELECT 1 FROM run WHERE {conditions} LIMIT $1) AS counted

-- few_runs: runs that are to be put in order, found without a walk through all of them
WITH few AS MATERIALIZED (
    SELECT created_at, run_id, token, body, changes FROM run WHERE {conditions}
)
SELECT token, body, changes FROM few ORDER BY created_at {order}, run_id {order} LIMIT $1

-- history: a run's log entries behind a number
SELECT seq, at, log.body FROM run JOIN log ON log.run = run.number
WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
