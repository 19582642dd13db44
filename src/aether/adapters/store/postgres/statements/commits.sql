-- Statements of the commit. What they write through is the function `commit_batch` of the schema.

-- commit: many decisions in one transaction
SELECT commit_batch($1, $2, $3)

-- held_runs: what a commit must know of runs that are not held in memory
SELECT run_id, token, phase, due_at, changes FROM run WHERE run_id = ANY ($1)

-- held_tasks: changes so far of task rows that are to change again
SELECT run.run_id, task.ordinal, task.changes
FROM unnest($1::text[], $2::integer[]) AS asked (run_id, ordinal)
JOIN run ON run.run_id = asked.run_id
JOIN task ON task.run = run.number AND task.ordinal = asked.ordinal

-- held_hooks: changes so far of hook rows that are to change again
SELECT run.run_id, hook.number, hook.open, hook.changes
FROM unnest($1::text[], $2::integer[]) AS asked (run_id, number)
JOIN run ON run.run_id = asked.run_id
JOIN hook ON hook.run = run.number AND hook.number = asked.number

-- open_hooks: changes so far of all hook rows that are open
SELECT run.run_id, hook.number, hook.changes FROM run JOIN hook ON hook.run = run.number
WHERE run.run_id = ANY ($1) AND hook.open

-- delete_run: a run with all that is its
SELECT delete_run($1)

-- bring_payloads: what follows a commit that brings large values, in the same statement
SELECT bring_payloads(({commit}), {values})

-- begin_forks: what follows a commit that creates runs which come from others, in the same statement
SELECT begin_forks(({commit}), {values})

-- collect_payloads: some of those that nobody names any more
SELECT collect_payloads($1)
