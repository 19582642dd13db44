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

-- unfinished: runs at which somebody must look, by id behind a cursor
SELECT run_id, due_at FROM run INDEXED BY run_open
WHERE open = 1 AND run_id > ? ORDER BY run_id LIMIT ?

-- runs: a page of runs; the words in braces are filled in from the query
SELECT number, large, body FROM run INDEXED BY {index}
WHERE {conditions} ORDER BY created_at {order}, run_id {order} LIMIT ?

-- history: a run's log entries behind a number
SELECT seq, at, body FROM log
WHERE run = (SELECT number FROM run WHERE run_id = ?) AND seq > ? ORDER BY seq LIMIT ?
