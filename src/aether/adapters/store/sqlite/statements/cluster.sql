-- Who holds runs, and messages for whoever does.

-- first_owner: the smallest session that holds unfinished runs, from a number on
SELECT owner FROM run INDEXED BY run_open WHERE open = 1 AND owner >= ? ORDER BY owner LIMIT 1

-- held_runs: unfinished runs of one session, by id behind a cursor
SELECT run_id, due_at, owner FROM run INDEXED BY run_open
WHERE open = 1 AND owner = ? AND run_id > ? ORDER BY run_id LIMIT ?

-- own_runs: runs that change hands
UPDATE run SET owner = ? WHERE number = ?

-- tokens: the tokens of the runs in a JSON array of ids
SELECT run_id, token FROM run WHERE run_id IN (SELECT value FROM json_each(?))

-- addressee: a run that somebody posts to
SELECT number, open FROM run WHERE run_id = ?

-- has_message: whether a key is taken
SELECT 1 FROM message WHERE run = ? AND key = ?

-- add_message: one more waits
INSERT INTO message (run, key, body, at) VALUES (?, ?, ?, ?)

-- version: changes when another connection commits
PRAGMA data_version

-- inbox: messages that wait, of the runs of one session
SELECT run.run_id, message.key, message.body, message.at
FROM message INDEXED BY message_waiting JOIN run ON run.number = message.run
WHERE message.answer IS NULL AND run.owner = ? ORDER BY message.number LIMIT ?

-- waits: whether a message waits
SELECT 1 FROM message WHERE run = ? AND key = ? AND answer IS NULL

-- consume: a message that was dealt with, and what its sender is to be told
UPDATE message SET answer = ? WHERE run = ? AND key = ?

-- answer: what the sender of a message is to be told
SELECT answer FROM message WHERE run = (SELECT number FROM run WHERE run_id = ?) AND key = ?

-- delete_messages: the messages of a deleted run
DELETE FROM message WHERE run = ?
