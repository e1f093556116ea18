-- Every deadline is a day, or a moment with its zone.
SELECT call_id || ': a deadline is neither a day nor a moment with zone' AS why
FROM (SELECT call_id, unnest(deadlines)."at" AS "at" FROM core.calls)
WHERE NOT coalesce(
    regexp_full_match("at", '\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?') AND TRY_CAST("at" AS TIMESTAMPTZ) IS NOT NULL,
    false
);
