-- A row is one deadline of one call. `entry` is false for a second stage, which newcomers cannot enter.
CREATE VIEW core.deadlines AS
SELECT
    call_id,
    d.kind AS kind,                         -- single, stage 1, stage 2, or cut-off: of one of several rounds
    d.kind <> 'stage 2' AS entry,           -- whether a newcomer can still enter by it
    CAST(left(d."at", 10) AS DATE) AS on_date, -- the last day
    CASE WHEN length(d."at") > 10 THEN CAST(d."at" AS TIMESTAMPTZ) END AS "at", -- the moment; NULL: the hour is not stated
    d.printed AS printed,                   -- the source's words
    position                                -- 1 is the call's first
FROM (
    SELECT call_id, unnest(deadlines) AS d, generate_subscripts(deadlines, 1) AS position FROM core.calls
);
