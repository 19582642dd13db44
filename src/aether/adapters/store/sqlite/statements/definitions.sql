-- Crons, templates and executor schemas.

-- cron: one cron
SELECT body FROM cron WHERE cron_id = ?

-- crons: all of them, by id
SELECT body FROM cron ORDER BY cron_id

-- put_cron: a cron, whole, whether it is new or not
INSERT INTO cron (cron_id, token, body) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET token = excluded.token, body = excluded.body

-- delete_cron: one cron, with an answer if it existed
DELETE FROM cron WHERE cron_id = ? RETURNING 1

-- put_template: one version, which must be new
INSERT INTO template (name, version, created_at, document) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING 1

-- template: one version of a template
SELECT name, version, document, created_at FROM template WHERE name = ? AND version = ?

-- newest_template: the newest version of a template
SELECT name, version, document, created_at FROM template
WHERE name = ? ORDER BY created_at DESC, number DESC LIMIT 1

-- templates: all versions of one name, or of all names if it is empty, oldest first
SELECT name, version, document, created_at FROM template
WHERE ?1 IN ('', name) ORDER BY name, created_at, number

-- delete_template: one version, with an answer if it existed
DELETE FROM template WHERE name = ? AND version = ? RETURNING 1

-- put_schema: what a worker says of an executor type
INSERT INTO executor_schema (worker_id, type, schema) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET schema = excluded.schema

-- schemas: all of them, by worker, then type
SELECT worker_id, type, schema FROM executor_schema ORDER BY worker_id, type

-- delete_schemas: those that match; an empty filter matches any
DELETE FROM executor_schema WHERE ?1 IN ('', type) AND ?2 IN ('', worker_id) RETURNING 1
