-- Statements of the writer. A line `-- name: sentence` begins one; `rows` is repeated for many rows.

-- begin: the write lock at once, so that nothing read in between can grow old
BEGIN IMMEDIATE

-- count_opening: one more opening; its number is the high part of every token given since
UPDATE opening SET count = count + 1 RETURNING count

-- last_run: the highest run number in use, if only for a log that others share
SELECT max(
    (SELECT coalesce(max(number), 0) FROM run),
    (SELECT coalesce(max(origin), 0) FROM fork WHERE origin IS NOT NULL)
)

-- find_run: what a commit must know of a run that is not held in memory
SELECT run.number, run.body,
    (SELECT count(*) FROM hook WHERE hook.run = run.number AND hook.open = 1)
FROM run WHERE run_id = ?

-- find_task: one task row, before it is patched
SELECT body FROM task WHERE run = ? AND ordinal = ?

-- find_hook: one hook row, before it is patched
SELECT body FROM hook WHERE run = ? AND number = ?

-- has_document: whether a run names this document
SELECT 1 FROM document WHERE digest = ?

-- add_runs: new runs, whole
INSERT INTO run (number, run_id, name, namespace, cron_id, created_at, document, phase, open,
    owner, due_at, token, large, body)
VALUES rows(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- add_labels: labels of new runs, and attributes
INSERT OR IGNORE INTO run_label (label, value, created_at, run_id, run) VALUES rows(?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- add_input: arguments and variables that are too large for the row itself
INSERT INTO run_input (run, arguments, variables) VALUES (?, ?, ?)

-- move_runs: runs whose phase or due time may have changed
UPDATE run SET phase = ?, open = ?, due_at = ?, token = ?, body = ? WHERE number = ?

-- touch_runs: runs that stay in their phase, so that no index is touched
UPDATE run SET token = ?, body = ? WHERE number = ?

-- put_tasks: task rows, whole, whether they are new or not
INSERT INTO task (run, ordinal, body) VALUES rows(?, ?, ?)
ON CONFLICT DO UPDATE SET body = excluded.body

-- put_hooks: hook rows, whole, whether they are new or not
INSERT INTO hook (run, number, open, body) VALUES rows(?, ?, ?, ?)
ON CONFLICT DO UPDATE SET open = excluded.open, body = excluded.body

-- add_log: entries of the action log
INSERT INTO log (run, seq, at, body) VALUES rows(?, ?, ?, ?)

-- count_document: so many more runs name this document
INSERT INTO document (digest, runs) VALUES (?, ?)
ON CONFLICT DO UPDATE SET runs = runs + excluded.runs

-- add_text: the text of a document that was not kept yet
INSERT INTO document_text (digest, text) VALUES (?, ?)

-- delete_run: the run's own row, which answers what else goes
DELETE FROM run WHERE run_id = ? RETURNING number, document, created_at, body

-- delete_input: the large arguments of a deleted run
DELETE FROM run_input WHERE run = ?

-- delete_label: one label of a deleted run
DELETE FROM run_label WHERE label = ? AND value = ? AND created_at = ? AND run_id = ?

-- delete_tasks: the task rows of a deleted run
DELETE FROM task WHERE run = ?

-- delete_hooks: the hook rows of a deleted run
DELETE FROM hook WHERE run = ?

-- release_document: one run less names this document
UPDATE document SET runs = runs - 1 WHERE digest = ? RETURNING runs

-- delete_document: nobody names it any more
DELETE FROM document WHERE digest = ?

-- delete_text: nor its text
DELETE FROM document_text WHERE digest = ?
