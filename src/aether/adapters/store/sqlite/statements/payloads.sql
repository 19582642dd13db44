-- Payloads: large values, each once.

-- add_payload: one, unless it is kept already
INSERT INTO payload (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING

-- use_payload: a run that brought it
INSERT INTO payload_use (run, payload) SELECT ?, number FROM payload WHERE digest = ?
ON CONFLICT DO NOTHING

-- payload: one, by its digest
SELECT data FROM payload WHERE digest = ?

-- loose_payloads: those that a deleted run had brought, with their sizes, and whether others did too
SELECT loose.payload, coalesce(length(payload.data), 0),
    EXISTS (SELECT 1 FROM payload_use WHERE payload_use.payload = loose.payload)
FROM payload_loose AS loose LEFT JOIN payload ON payload.number = loose.payload
ORDER BY loose.payload LIMIT ?

-- delete_payload: nobody brought it who is still there
DELETE FROM payload WHERE number = ?

-- not_loose: it was looked at
DELETE FROM payload_loose WHERE payload = ?
