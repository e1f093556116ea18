-- The states of calls as far as deadlines go: of the calls given first, and of those that may be in an earlier calendar,
-- of the profile given second, or of all where that is NULL. gone_on: the day since which the source does not list it.
WITH said AS (
    SELECT unnest(CAST($1 AS VARCHAR[])) AS call_id
), earlier AS (
    SELECT DISTINCT call_id FROM core.matches
    WHERE profile_id = $2 AND eligibility.verdict <> 'fail'
), refused AS (
    SELECT call_id FROM core.matches SEMI JOIN mart.latest_run USING (run_id)
    WHERE profile_id = $2 AND feedback = 'not-for-us'
), chosen AS (
    SELECT call_id, true AS wanted FROM said
    UNION ALL
    SELECT call_id, false FROM (
        SELECT call_id FROM core.calls WHERE $2 IS NULL OR call_id IN (FROM earlier)
    ) ANTI JOIN said USING (call_id) ANTI JOIN refused USING (call_id)
)
SELECT
    v.call_id, v.version, v.title, v.url, v.valid_from, v.status, v.deadlines,
    len(list_filter(v.contradictions, lambda c: c.field = 'deadlines')) > 0 AS disputed,
    coalesce(list_contains(v.changed, 'in_latest_run'), false) AS returned,
    (SELECT min(r.as_of) FROM core.runs AS r WHERE NOT c.in_latest_run AND r.started_at > last.started_at) AS gone_on,
    x.wanted
FROM core.call_versions AS v
JOIN chosen AS x USING (call_id)
JOIN core.calls AS c USING (call_id)
JOIN (
    SELECT n.call_id, r.started_at FROM core.call_versions AS n JOIN core.runs AS r ON r.run_id = n.last_run_id
    WHERE n.next_run_id IS NULL
) AS last USING (call_id)
ORDER BY v.call_id, v.version
