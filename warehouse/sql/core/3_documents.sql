-- A row is one document that tells of one call, the leading one first.
CREATE VIEW core.documents AS
SELECT
    call_id,
    position,                              -- 1 is the leading one
    d.*
FROM (
    SELECT call_id, unnest(documents) AS d, generate_subscripts(documents, 1) AS position FROM core.calls
);
