-- The part of the schema for what several runs share: payloads, and logs of runs that come from others.

-- Large values of all runs, each once. `data` is opaque, and compressed already where that pays.
CREATE TABLE payload (
    number bigint NOT NULL DEFAULT nextval('ticket'),
    digest bytea PRIMARY KEY,
    data bytea NOT NULL
);
CREATE UNIQUE INDEX payload_by_number ON payload (number);
ALTER TABLE payload ALTER COLUMN data SET STORAGE EXTERNAL;

-- Which runs brought them, each for as long as it exists.
CREATE TABLE payload_use (
    run bigint NOT NULL,
    payload bigint NOT NULL,
    PRIMARY KEY (run, payload)
);
CREATE INDEX payload_by_use ON payload_use (payload);

-- Those that somebody brought who was deleted since: to be looked at, and deleted if he was the last.
-- A row that is there already is locked all the same, so that nobody looks before the delete is done.
CREATE TABLE payload_loose (payload bigint PRIMARY KEY);
CREATE FUNCTION run_lets_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payload_loose SELECT payload FROM payload_use WHERE run = OLD.number ORDER BY payload
        ON CONFLICT (payload) DO UPDATE SET payload = excluded.payload;
    DELETE FROM payload_use WHERE run = OLD.number;
    RETURN NULL;
END
$$;
CREATE TRIGGER run_lets_go AFTER DELETE ON run FOR EACH ROW EXECUTE FUNCTION run_lets_go();

-- Keeps the payloads of decisions that were answered, and hands the answers on. Each comes with the place
-- of its run, in order of the digests, so that two who bring the same ones do not block each other. The
-- key share lock keeps a payload that is there from being collected.
CREATE FUNCTION bring_payloads(
    answers bigint[], run_ids text[], places integer[], digests bytea[], datas bytea[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    kept bigint;
BEGIN
    FOR n IN 1 .. cardinality(digests) LOOP
        CONTINUE WHEN answers[places[n]] <= 0;
        LOOP
            SELECT number INTO kept FROM payload WHERE digest = digests[n] FOR KEY SHARE;
            EXIT WHEN FOUND;
            INSERT INTO payload (digest, data) VALUES (digests[n], datas[n])
                ON CONFLICT DO NOTHING RETURNING number INTO kept;
            EXIT WHEN FOUND;
        END LOOP;
        INSERT INTO payload_use
            SELECT run.number, kept FROM run WHERE run_id = run_ids[places[n]]
            ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN answers;
END
$$;

-- Deletes payloads that nobody brought who is still there. Looks at so many at most, and answers at how
-- many; those that a commit brings at this moment are left for the next time.
CREATE FUNCTION collect_payloads(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    looked bigint[];
    locked bigint[];
BEGIN
    looked := ARRAY(
        SELECT payload FROM payload_loose ORDER BY payload LIMIT most FOR UPDATE SKIP LOCKED
    );
    locked := ARRAY(
        SELECT number FROM payload WHERE number = ANY (looked) FOR UPDATE SKIP LOCKED
    );
    DELETE FROM payload WHERE number = ANY (locked)
        AND NOT EXISTS (SELECT 1 FROM payload_use WHERE payload_use.payload = payload.number);
    DELETE FROM payload_loose AS loose WHERE loose.payload = ANY (looked) AND (
        loose.payload = ANY (locked)
        OR NOT EXISTS (SELECT 1 FROM payload WHERE payload.number = loose.payload)
    );
    RETURN cardinality(looked);
END
$$;

-- Runs that come from others: the run with which their line began, and the number of the one whose log
-- they share, up to `seq`. The row of a deleted run loses its root, and stays as long as others share its
-- log.
CREATE TABLE fork (
    run bigint PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL,
    root text COLLATE "C",
    origin bigint,
    seq bigint,
    origin_gone boolean NOT NULL DEFAULT false
);
CREATE INDEX fork_by_root ON fork (root) WHERE root IS NOT NULL;
CREATE INDEX fork_by_origin ON fork (origin, seq) WHERE origin IS NOT NULL;

-- Notes where new runs of decisions that were answered come from, and hands the answers on. Each comes with
-- the place of its run. Whoever creates or deletes one run of a line holds the lock of its document, so
-- nobody deletes the origin meanwhile.
CREATE FUNCTION begin_forks(
    answers bigint[], run_ids text[], places integer[], roots text[], origins text[], seqs bigint[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    mine run%ROWTYPE;
    shared bigint;
BEGIN
    FOR n IN 1 .. cardinality(places) LOOP
        CONTINUE WHEN answers[places[n]] <= 0;
        SELECT * INTO mine FROM run WHERE run_id = run_ids[places[n]];
        shared := NULL;
        IF seqs[n] IS NOT NULL THEN
            SELECT number INTO shared FROM run
            WHERE run_id = origins[n] AND run.document = mine.document;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'run ''%'' comes from run ''%'', of which there is none of its document',
                    mine.run_id, origins[n] USING ERRCODE = 'invalid_parameter_value';
            END IF;
        END IF;
        INSERT INTO fork (run, run_id, root, origin, seq)
            VALUES (mine.number, mine.run_id, roots[n], shared, seqs[n]);
    END LOOP;
    RETURN answers;
END
$$;

-- What a run that is about to be deleted brought, those that share its log have brought too.
CREATE FUNCTION run_leaves_payloads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payload_use
    WITH RECURSIVE heir (run, root) AS (
        SELECT fork.run, fork.root FROM fork WHERE fork.origin = OLD.number
        UNION
        SELECT fork.run, fork.root FROM heir JOIN fork ON fork.origin = heir.run
    )
    SELECT heir.run, payload_use.payload FROM heir, payload_use
    WHERE heir.root IS NOT NULL AND payload_use.run = OLD.number
    ON CONFLICT DO NOTHING;
    RETURN OLD;
END
$$;
CREATE TRIGGER run_leaves_payloads BEFORE DELETE ON run
    FOR EACH ROW EXECUTE FUNCTION run_leaves_payloads();

-- The log of a deleted run goes, but for what others share of it; so do those of deleted runs that only it
-- had shared.
CREATE FUNCTION release_log(gone bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    shared bigint;
    is_gone boolean;
BEGIN
    UPDATE fork SET root = NULL WHERE run = gone;
    UPDATE fork SET origin_gone = true WHERE origin = gone;
    LOOP
        SELECT max(seq) INTO shared FROM fork WHERE origin = gone;
        IF shared IS NOT NULL THEN
            DELETE FROM log WHERE run = gone AND seq > shared;
            RETURN;
        END IF;
        DELETE FROM log WHERE run = gone;
        DELETE FROM fork WHERE run = gone RETURNING origin, origin_gone INTO gone, is_gone;
        IF NOT FOUND OR gone IS NULL OR NOT is_gone THEN
            RETURN;
        END IF;
    END LOOP;
END
$$;
