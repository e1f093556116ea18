-- A row is one claim of a field that documents of one call state differently; settled_by names the one that counts.
CREATE VIEW mart.contradictions AS
SELECT call_id, title, x.field AS field, k.document_id, k."value" AS "value", k.printed, x.settled_by
FROM (
    SELECT call_id, title, x, unnest(x.claims) AS k
    FROM (SELECT call_id, title, unnest(contradictions) AS x FROM core.calls WHERE in_latest_run)
);
