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
