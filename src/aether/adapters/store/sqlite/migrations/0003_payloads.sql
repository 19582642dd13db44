-- Large values of all runs, each once. `data` is opaque: compressed, and sealed if there is a key.
CREATE TABLE payload (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;

-- Which runs brought them, each for as long as it exists.
CREATE TABLE payload_use (
    run INTEGER NOT NULL,
    payload INTEGER NOT NULL,
    PRIMARY KEY (run, payload)
) STRICT, WITHOUT ROWID;
CREATE INDEX payload_by_use ON payload_use (payload);

-- Those that somebody brought who was deleted since: to be looked at, and deleted if he was the last.
CREATE TABLE payload_loose (payload INTEGER PRIMARY KEY) STRICT;
CREATE TRIGGER run_lets_go AFTER DELETE ON run BEGIN
    INSERT INTO payload_loose SELECT payload FROM payload_use WHERE run = old.number
        ON CONFLICT DO NOTHING;
    DELETE FROM payload_use WHERE run = old.number;
END;
