-- A row is one deadline of one call. `entry` is false for a second stage, which newcomers cannot enter.
CREATE VIEW core.deadlines AS
SELECT
    call_id,
    d.kind AS kind,
    d.kind <> 'stage 2' AS entry,
    CAST(left(d."at", 10) AS DATE) AS on_date,
    CASE WHEN length(d."at") > 10 THEN CAST(d."at" AS TIMESTAMPTZ) END AS "at", -- NULL: the hour is not stated
    d.printed AS printed,
    position
FROM (
    SELECT call_id, unnest(deadlines) AS d, generate_subscripts(deadlines, 1) AS position FROM core.calls
);
