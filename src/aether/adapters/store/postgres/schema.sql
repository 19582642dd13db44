-- The schema as it stands, with `schema_shared.sql`: the sum of the migrations, for reading. A test
-- compares the two.

-- Which migrations were applied, with the digest of their text.
CREATE TABLE migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Tokens and the numbers of runs and documents: given once, never again.
CREATE SEQUENCE ticket AS bigint;

-- A document stands here once for all runs that name it, and goes with the last of them.
CREATE TABLE document (
    number bigint NOT NULL DEFAULT nextval('ticket'),
    digest bytea PRIMARY KEY,
    text bytea NOT NULL
);
CREATE UNIQUE INDEX document_by_number ON document (number);

-- What is asked for stands in columns. `body` is the row as it was created, `changes` one patch that
-- holds all changes since: what is large and never changes is written once. `open` is true while
-- somebody must look. The free space lets a decision rewrite its row without touching an index, as long
-- as nothing changes that an index speaks of: hence `failed`, which is the phase of a run that ended
-- without success.
CREATE TABLE run (
    number bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    cron_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    document bigint NOT NULL,
    phase text COLLATE "C" NOT NULL,
    open boolean NOT NULL,
    due_at bigint,
    token bigint NOT NULL,
    body bytea NOT NULL,
    changes bytea NOT NULL,
    owner bigint NOT NULL, -- the session whose engine looks
    failed text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN phase IN ('Failed', 'Error', 'Timeout', 'Cancelled') THEN phase END
    ) STORED
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX run_by_id ON run (run_id);
CREATE INDEX run_by_creation ON run (created_at, run_id);
CREATE INDEX run_by_document ON run (document);
CREATE INDEX run_by_cron ON run (cron_id, created_at, run_id) WHERE cron_id <> '';
CREATE INDEX run_by_name ON run (name, created_at, run_id);
CREATE INDEX run_open ON run (owner, run_id) WHERE open;
CREATE INDEX run_unsuccessful ON run (failed, created_at, run_id) WHERE failed IS NOT NULL;

-- The labels and attributes of runs: what is asked for by label is found in the order of listings.
CREATE TABLE run_label (
    label text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    run bigint NOT NULL,
    PRIMARY KEY (label, value, created_at, run_id, run)
);
CREATE INDEX run_label_by_run ON run_label (run);

CREATE TABLE task (
    run bigint NOT NULL,
    ordinal integer NOT NULL,
    body bytea NOT NULL,
    changes bytea NOT NULL,
    PRIMARY KEY (run, ordinal)
) WITH (fillfactor = 60);

CREATE TABLE hook (
    run bigint NOT NULL,
    number integer NOT NULL,
    open boolean NOT NULL,
    body bytea NOT NULL,
    changes bytea NOT NULL,
    PRIMARY KEY (run, number)
) WITH (fillfactor = 60);

CREATE TABLE log (
    run bigint NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX log_by_run ON log (run, seq);

-- Engines that stand. A session that is over has no row.
CREATE TABLE session (
    number bigint PRIMARY KEY,
    name text NOT NULL,
    ends_at bigint NOT NULL
);

-- What others have to say to the engine that owns a run; `answer` is null while it waits.
CREATE TABLE message (
    number bigint GENERATED ALWAYS AS IDENTITY,
    run bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    at bigint NOT NULL,
    answer bytea,
    PRIMARY KEY (run, key)
);
CREATE INDEX message_waiting ON message (number) WHERE answer IS NULL;

CREATE TABLE cron (
    cron_id text COLLATE "C" PRIMARY KEY,
    created_at bigint NOT NULL,
    token bigint NOT NULL,
    body bytea NOT NULL
);

-- `number` grows with every put: among versions of one instant the later one is the newer.
CREATE TABLE template (
    number bigint GENERATED ALWAYS AS IDENTITY,
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE executor_schema (
    worker_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    schema bytea NOT NULL,
    PRIMARY KEY (worker_id, type)
);

-- Who names a document holds this lock together with others, who may delete it holds it alone.
CREATE FUNCTION document_lock(digest bytea) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || encode(substr(digest, 1, 8), 'hex'))::bit(64)::bigint
$$;

-- Carries out many decisions in one transaction, each whole or not at all. No run may come twice. To
-- decode many parameters takes longer than to look into long ones, so there are three, laid out by
-- `batch.py` one section after the other:
--   numbers  how many documents, runs, tasks, hooks, log entries and labels there are; then
--            a run: expected token or null, is it open, due, created, place of its document or null,
--            owner or null
--            a task: place of its run, ordinal      a hook: place of its run, number, is it open
--            a log entry: place of its run, seq, instant     a label: place of its run, created or null
--   texts    a run: id, phase; a new run: name, namespace, cron id too
--            a label: id of its run, name, value
--   bodies   a document: digest, text or null       a run, a task, a hook: body, changes
--            a log entry: body
-- An empty body of a task or hook leaves the one that is there. Answers for each run with its new token,
-- 0 for a conflict, -1 for a new run whose document is neither given nor kept.
CREATE FUNCTION commit_batch(numbers bigint[], texts text[], bodies bytea[])
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    documents_count CONSTANT integer := numbers[1];
    runs_count CONSTANT integer := numbers[2];
    tasks_count CONSTANT integer := numbers[3];
    hooks_count CONSTANT integer := numbers[4];
    logs_count CONSTANT integer := numbers[5];
    labels_count CONSTANT integer := numbers[6];
    answers bigint[] := array_fill(0::bigint, ARRAY[runs_count]);
    runs bigint[] := array_fill(NULL::bigint, ARRAY[runs_count]); -- numbers of runs, where carried out
    documents bigint[] := '{}';
    added bigint[] := '{}';
    n integer := 6; -- where the next section begins, less one
    t integer := 0;
    b integer := 0;
    row_number bigint;
    row_token bigint;
BEGIN
    FOR place IN 1 .. documents_count LOOP
        PERFORM pg_advisory_xact_lock_shared(document_lock(bodies[b + 1]));
        SELECT number INTO row_number FROM document WHERE digest = bodies[b + 1];
        IF NOT FOUND AND bodies[b + 2] IS NOT NULL THEN
            INSERT INTO document (digest, text) VALUES (bodies[b + 1], bodies[b + 2])
                ON CONFLICT DO NOTHING RETURNING number INTO row_number;
            IF FOUND THEN
                added := added || row_number;
            ELSE
                SELECT number INTO row_number FROM document WHERE digest = bodies[b + 1];
            END IF;
        END IF;
        documents[place] := row_number;
        b := b + 2;
    END LOOP;

    FOR place IN 1 .. runs_count LOOP
        IF numbers[n + 1] IS NOT NULL THEN
            UPDATE run SET token = nextval('ticket'), phase = texts[t + 2],
                open = numbers[n + 2] = 1, due_at = numbers[n + 3], changes = bodies[b + 2],
                owner = coalesce(numbers[n + 6], owner)
            WHERE ctid = (
                SELECT ctid FROM run WHERE run_id = texts[t + 1] AND token = numbers[n + 1]
                FOR UPDATE SKIP LOCKED
            ) RETURNING number, token INTO row_number, row_token;
            IF FOUND THEN
                answers[place] := row_token;
                runs[place] := row_number;
            END IF;
        ELSIF documents[numbers[n + 5]] IS NULL THEN
            PERFORM 1 FROM run WHERE run_id = texts[t + 1];
            IF NOT FOUND THEN
                answers[place] := -1;
            END IF;
        ELSE
            row_number := nextval('ticket');
            INSERT INTO run VALUES (
                row_number, texts[t + 1], texts[t + 3], texts[t + 4], texts[t + 5], numbers[n + 4],
                documents[numbers[n + 5]], texts[t + 2], numbers[n + 2] = 1, numbers[n + 3],
                row_number, bodies[b + 1], bodies[b + 2], numbers[n + 6]
            ) ON CONFLICT DO NOTHING;
            IF FOUND THEN
                answers[place] := row_number;
                runs[place] := row_number;
            END IF;
        END IF;
        t := t + CASE WHEN numbers[n + 1] IS NULL THEN 5 ELSE 2 END;
        n := n + 6;
        b := b + 2;
    END LOOP;

    IF tasks_count > 0 THEN
        INSERT INTO task (run, ordinal, body, changes)
        SELECT runs[numbers[n + 2 * i + 1]], numbers[n + 2 * i + 2],
            bodies[b + 2 * i + 1], bodies[b + 2 * i + 2]
        FROM generate_series(0, tasks_count - 1) AS i
        WHERE runs[numbers[n + 2 * i + 1]] IS NOT NULL
        ON CONFLICT (run, ordinal) DO UPDATE SET changes = excluded.changes,
            body = CASE WHEN excluded.body = '' THEN task.body ELSE excluded.body END;
        n := n + 2 * tasks_count;
        b := b + 2 * tasks_count;
    END IF;
    IF hooks_count > 0 THEN
        INSERT INTO hook (run, number, open, body, changes)
        SELECT runs[numbers[n + 3 * i + 1]], numbers[n + 3 * i + 2], numbers[n + 3 * i + 3] = 1,
            bodies[b + 2 * i + 1], bodies[b + 2 * i + 2]
        FROM generate_series(0, hooks_count - 1) AS i
        WHERE runs[numbers[n + 3 * i + 1]] IS NOT NULL
        ON CONFLICT (run, number) DO UPDATE SET open = excluded.open, changes = excluded.changes,
            body = CASE WHEN excluded.body = '' THEN hook.body ELSE excluded.body END;
        n := n + 3 * hooks_count;
        b := b + 2 * hooks_count;
    END IF;
    IF logs_count > 0 THEN
        INSERT INTO log (run, seq, at, body)
        SELECT runs[numbers[n + 3 * i + 1]], numbers[n + 3 * i + 2], numbers[n + 3 * i + 3],
            bodies[b + i + 1]
        FROM generate_series(0, logs_count - 1) AS i
        WHERE runs[numbers[n + 3 * i + 1]] IS NOT NULL;
        n := n + 3 * logs_count;
    END IF;
    IF labels_count > 0 THEN
        INSERT INTO run_label (run, created_at, run_id, label, value)
        SELECT runs[numbers[n + 2 * i + 1]], coalesce(numbers[n + 2 * i + 2],
                (SELECT created_at FROM run WHERE number = runs[numbers[n + 2 * i + 1]])),
            texts[t + 3 * i + 1], texts[t + 3 * i + 2], texts[t + 3 * i + 3]
        FROM generate_series(0, labels_count - 1) AS i
        WHERE runs[numbers[n + 2 * i + 1]] IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(added) > 0 AND 0 = ANY (answers) THEN
        DELETE FROM document WHERE number = ANY (added)
            AND NOT EXISTS (SELECT 1 FROM run WHERE run.document = document.number);
    END IF;
    RETURN answers;
END
$$;

-- Removes a run with all that is its, and the document if nobody names it any more.
CREATE FUNCTION delete_run(id text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    named bytea;
    gone bigint;
    gone_document bigint;
BEGIN
    SELECT document.digest INTO named FROM run JOIN document ON document.number = run.document
    WHERE run.run_id = id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(document_lock(named));
    DELETE FROM run USING document
    WHERE run_id = id AND document.number = run.document AND document.digest = named
    RETURNING run.number, run.document INTO gone, gone_document;
    IF NOT FOUND THEN -- somebody was faster, and may have made another run of that id since
        RETURN delete_run(id);
    END IF;
    DELETE FROM run_label WHERE run_label.run = gone;
    DELETE FROM task WHERE task.run = gone;
    DELETE FROM hook WHERE hook.run = gone;
    PERFORM release_log(gone);
    DELETE FROM message WHERE message.run = gone;
    DELETE FROM document WHERE number = gone_document
        AND NOT EXISTS (SELECT 1 FROM run WHERE run.document = gone_document);
    RETURN true;
END
$$;

-- A decision of one run that deals with messages, all of which must wait. Answers as `commit_batch`.
CREATE FUNCTION commit_consuming(
    id text, keys text[], told bytea[], numbers bigint[], texts text[], bodies bytea[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    named bigint;
    waiting integer;
    answers bigint[];
BEGIN
    SELECT number INTO named FROM run WHERE run_id = id;
    SELECT count(*) INTO waiting FROM (
        SELECT 1 FROM message WHERE run = named AND key = ANY (keys) AND answer IS NULL FOR UPDATE
    ) AS found;
    IF waiting <> cardinality(keys) THEN
        RETURN ARRAY[0::bigint];
    END IF;
    answers := commit_batch(numbers, texts, bodies);
    IF answers[1] > 0 THEN
        UPDATE message SET answer = given.answer FROM unnest(keys, told) AS given (key, answer)
        WHERE message.run = named AND message.key = given.key;
    END IF;
    RETURN answers;
END
$$;

CREATE FUNCTION store_time() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- Gives runs to a session, where their own is over. Answers for each in the words of `ports.Claim`.
CREATE FUNCTION claim_runs(ids text[], mine bigint) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    id text;
    holder bigint;
    is_open boolean;
BEGIN
    DELETE FROM session WHERE ends_at <= store_time() AND number <> mine;
    PERFORM 1 FROM session WHERE number = mine;
    IF NOT FOUND THEN
        RETURN array_fill('lost'::text, ARRAY[cardinality(ids)]);
    END IF;
    FOREACH id IN ARRAY ids LOOP
        SELECT owner, open INTO holder, is_open FROM run WHERE run_id = id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            answers := answers || 'unknown'::text;
        ELSIF NOT is_open THEN
            answers := answers || 'over'::text;
        ELSIF holder = mine THEN
            answers := answers || 'mine'::text;
        ELSIF EXISTS (SELECT 1 FROM session WHERE number = holder) THEN
            answers := answers || 'held'::text;
        ELSE
            UPDATE run SET owner = mine, token = nextval('ticket') WHERE run_id = id;
            answers := answers || 'taken'::text;
        END IF;
    END LOOP;
    RETURN answers;
END
$$;

-- Adds messages. Answers for each in the words of `ports.Posted`.
CREATE FUNCTION post_messages(ids text[], keys text[], bodies bytea[], ats bigint[])
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    answers text[] := '{}';
    named bigint;
    is_open boolean;
BEGIN
    FOR i IN 1 .. cardinality(ids) LOOP
        SELECT number, open INTO named, is_open FROM run WHERE run_id = ids[i];
        IF NOT FOUND THEN
            answers := answers || 'unknown'::text;
            CONTINUE;
        END IF;
        PERFORM 1 FROM message WHERE run = named AND key = keys[i];
        IF FOUND THEN
            answers := answers || 'accepted'::text;
        ELSIF NOT is_open THEN
            answers := answers || 'over'::text;
        ELSE
            INSERT INTO message (run, key, body, at) VALUES (named, keys[i], bodies[i], ats[i])
                ON CONFLICT DO NOTHING;
            answers := answers || 'accepted'::text;
        END IF;
    END LOOP;
    RETURN answers;
END
$$;
