-- Statements of readers. Those that belong together run in one transaction, so from one moment.

-- run: a run's own row
SELECT number, large, body FROM run WHERE run_id = ?

-- input: what was too large for a run's row
SELECT arguments, variables FROM run_input WHERE run = ?

-- tasks: a run's task rows
SELECT ordinal, body FROM task WHERE run = ? ORDER BY ordinal

-- hooks: a run's hook rows
SELECT number, body FROM hook WHERE run = ? ORDER BY number

-- document: a document's text
SELECT text FROM document_text WHERE digest = ?

-- runs: runs that an index holds in order; the words in braces are filled in from the query
SELECT number, large, body FROM run INDEXED BY {index}
WHERE {conditions} ORDER BY created_at {order}, run_id {order} LIMIT ?

-- labelled_runs: runs that bear a label
SELECT number, large, body
FROM (SELECT run, created_at, run_id FROM run_label
    WHERE {conditions} ORDER BY created_at {order}, run_id {order} LIMIT ?) AS labelled
CROSS JOIN run ON run.number = labelled.run
ORDER BY labelled.created_at {order}, labelled.run_id {order}

-- count_runs: how many an index holds, up to a number
SELECT count(*) FROM (SELECT 1 FROM run INDEXED BY {index} WHERE {conditions} LIMIT ?)

-- few_runs: runs that are to be put in order; their bodies are read for the page alone
SELECT run.number, run.large, run.body
FROM (SELECT number, created_at, run_id FROM run INDEXED BY {index}
    WHERE {conditions} ORDER BY created_at {order}, run_id {order} LIMIT ?) AS few
CROSS JOIN run ON run.number = few.number
ORDER BY few.created_at {order}, few.run_id {order}

-- history: log entries of one run behind a number and up to another
SELECT seq, at, body FROM log WHERE run = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?
