-- States of a call are 1 to n; each ends with the run and day with which the next begins, and the last has no end.
SELECT call_id || ': state ' || coalesce(CAST(version AS VARCHAR), '?') || ' does not follow from the one before' AS why
FROM (
    SELECT *,
        row_number() OVER chain AS nth,
        lead(run_id) OVER chain AS follows,
        lead(valid_from) OVER chain AS from_then
    FROM core.call_versions
    WINDOW chain AS (PARTITION BY call_id ORDER BY version)
)
WHERE version IS DISTINCT FROM nth OR next_run_id IS DISTINCT FROM follows OR valid_to IS DISTINCT FROM from_then;
