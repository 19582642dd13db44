-- Crons, templates and executor schemas.

-- cron: one cron
SELECT created_at, token, body FROM cron WHERE cron_id = $1

-- crons: all of them, by id
SELECT created_at, token, body FROM cron ORDER BY cron_id

-- add_cron: a cron that must be new
INSERT INTO cron (cron_id, created_at, token, body) VALUES ($1, $2, nextval('ticket'), $3)
ON CONFLICT DO NOTHING RETURNING token

-- replace_cron: a cron that must be as it was; when it was created never changes
UPDATE cron SET token = nextval('ticket'), body = $3 WHERE cron_id = $1 AND token = $2
RETURNING token

-- delete_cron: one cron, with an answer if it existed
DELETE FROM cron WHERE cron_id = $1 RETURNING 1

-- put_template: one version, which must be new
INSERT INTO template (name, version, created_at, document) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING 1

-- template: one version of a template
SELECT name, version, document, created_at FROM template WHERE name = $1 AND version = $2

-- newest_template: the newest version of a template
SELECT name, version, document, created_at FROM template
WHERE name = $1 ORDER BY created_at DESC, number DESC LIMIT 1

-- templates: all versions of one name, or of all names if it is empty, oldest first
SELECT name, version, document, created_at FROM template
WHERE $1 IN ('', name) ORDER BY name, created_at, number

-- delete_template: one version, with an answer if it existed
DELETE FROM template WHERE name = $1 AND version = $2 RETURNING 1

-- put_schema: what a worker says of an executor type
INSERT INTO executor_schema (worker_id, type, schema) VALUES ($1, $2, $3)
ON CONFLICT (worker_id, type) DO UPDATE SET schema = excluded.schema

-- schemas: all of them, by worker, then type
SELECT worker_id, type, schema FROM executor_schema ORDER BY worker_id, type

-- delete_schemas: those that match; an empty filter matches any
WITH gone AS (
    DELETE FROM executor_schema
    WHERE $1 IN ('', type) AND $2 IN ('', worker_id) RETURNING 1
)
SELECT count(*) FROM gone
