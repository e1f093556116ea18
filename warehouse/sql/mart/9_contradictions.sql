-- A row is one claim of a field that documents of one call state differently; settled_by names the one that counts.
CREATE VIEW mart.contradictions AS
SELECT
    call_id, title,
    x.field AS field,                      -- of core.calls
    k.document_id,                         -- who states it: core.documents
    k."value" AS "value",                  -- as the field would hold it
    k.printed,                             -- that document's words
    x.settled_by                           -- document_id of the one that counts; NULL: none does, the field is unknown
FROM (
    SELECT call_id, title, x, unnest(x.claims) AS k
    FROM (SELECT call_id, title, unnest(contradictions) AS x FROM core.calls WHERE in_latest_run)
);
