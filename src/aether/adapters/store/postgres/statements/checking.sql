-- Statements that look at a whole database: what there is, and whether it fits together.

-- has_schema: whether there is a schema of this name
SELECT to_regnamespace(quote_ident($1)) IS NOT NULL

-- has_store: whether a schema holds a store
SELECT to_regclass($1) IS NOT NULL

-- counts: how many runs there are, how many are open, and the size of it all
SELECT (SELECT count(*) FROM run) AS runs,
    (SELECT count(*) FROM run WHERE open) AS unfinished,
    (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace) AS bytes,
    current_setting('server_version') AS server

-- plans: what a look at everything may use, and the statements of an engine may not
SELECT set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true)

-- indexes: the indexes of the store
SELECT relname, pg_class.oid FROM pg_class JOIN pg_am ON pg_am.oid = relam
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'i' AND amname = 'btree'
ORDER BY relname

-- amcheck: the schema of the extension that checks indexes, if somebody has installed it
SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'amcheck'

-- check_index: raises an error if the index is not what its table says
SELECT {amcheck}.bt_index_check($1::oid::regclass, true)

-- runs: every run's row
SELECT run_id, body, changes FROM run

-- tasks: every task row
SELECT run, ordinal, body, changes FROM task

-- hooks: every hook row
SELECT run, number, body, changes FROM hook

-- log: every entry of the log
SELECT run, seq, body FROM log

-- lost_tasks: task rows belong to no run
SELECT count(*) FROM task WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.number = task.run)

-- lost_hooks: hook rows belong to no run
SELECT count(*) FROM hook WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.number = hook.run)

-- lost_log: log entries belong to no run
SELECT count(*) FROM log WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.number = log.run)

-- lost_labels: labels belong to no run
SELECT count(*) FROM run_label
WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.number = run_label.run)

-- no_document: runs name a document that is not there
SELECT count(*) FROM run
WHERE NOT EXISTS (SELECT 1 FROM document WHERE document.number = run.document)

-- lost_documents: documents are named by no run
SELECT count(*) FROM document
WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.document = document.number)

-- lost_uses: uses of large values belong to no run
SELECT count(*) FROM payload_use
WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.number = payload_use.run)

-- no_payload: large values are used that are not there
SELECT count(*) FROM payload_use
WHERE NOT EXISTS (SELECT 1 FROM payload WHERE payload.number = payload_use.payload)

-- wrongly_open: runs are open and over, or neither
SELECT count(*) FROM run WHERE open <> (
    phase NOT IN ('Succeeded', 'Failed', 'Error', 'Timeout', 'Skipped', 'Cancelled')
    OR EXISTS (SELECT 1 FROM hook WHERE hook.run = run.number AND hook.open)
)

-- double_log: numbers of log entries come twice
SELECT count(*) FROM (SELECT 1 FROM log GROUP BY run, seq HAVING count(*) > 1) AS double
