-- Who stands, who holds runs, and messages for whoever does.

-- new_session: its number, and the time
INSERT INTO session (number, name, ends_at) VALUES (nextval('ticket'), $1, store_time() + $2)
RETURNING ARRAY[number, store_time()]

-- renew_session: its number and the time, or nothing if it is over
UPDATE session SET ends_at = store_time() + $2 WHERE number = $1
RETURNING ARRAY[number, store_time()]

-- time: the server's
SELECT store_time()

-- end_session: for good
DELETE FROM session WHERE number = $1

-- end_others: sessions whose lease has passed, but for one
DELETE FROM session WHERE ends_at <= store_time() AND number <> $1

-- claim: runs for a session
SELECT claim_runs($1, $2)

-- orphans: unfinished runs that a session could claim, by owner, then id, behind a cursor
WITH RECURSIVE owners AS (
    (SELECT owner FROM run WHERE open AND owner >= $2 ORDER BY owner LIMIT 1)
    UNION ALL
    SELECT (SELECT run.owner FROM run WHERE open AND run.owner > owners.owner
        ORDER BY run.owner LIMIT 1)
    FROM owners WHERE owners.owner IS NOT NULL
)
SELECT held.run_id, held.due_at, owners.owner FROM owners CROSS JOIN LATERAL (
    SELECT run_id, due_at FROM run WHERE open AND run.owner = owners.owner
        AND run_id > CASE WHEN owners.owner = $2 THEN $3 ELSE '' END
    ORDER BY run_id LIMIT $4
) AS held
WHERE owners.owner <> $1
    AND NOT EXISTS (SELECT 1 FROM session WHERE session.number = owners.owner)
ORDER BY owners.owner, held.run_id LIMIT $4

-- tokens: the tokens of runs
SELECT run_id, token FROM run WHERE run_id = ANY ($1)

-- post: messages for runs
SELECT post_messages($1, $2, $3, $4)

-- inbox: messages that wait, of the runs of one session
SELECT run.run_id, message.key, message.body, message.at
FROM message JOIN run ON run.number = message.run
WHERE message.answer IS NULL AND run.owner = $1 ORDER BY message.number LIMIT $2

-- answers: what senders are to be told
SELECT message.key, message.answer FROM message JOIN run ON run.number = message.run
WHERE run.run_id = $1 AND message.key = ANY ($2)

-- commit: a decision that deals with messages
SELECT commit_consuming($1, $2, $3, $4, $5, $6)

-- tell: words for those who listen
SELECT pg_notify($1, $2)
