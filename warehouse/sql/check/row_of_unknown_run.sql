-- What is told of a run is told of one that there was.
SELECT 'core.' || name || ': of ' || coalesce(run_id, 'no run') || ', which is not among the runs' AS why
FROM (
    SELECT DISTINCT 'call_versions' AS name, unnest([run_id, last_run_id, coalesce(next_run_id, run_id)]) AS run_id FROM core.call_versions
    UNION ALL SELECT DISTINCT 'profile_versions', unnest([run_id, last_run_id]) FROM core.profile_versions
    UNION ALL SELECT DISTINCT 'matches', run_id FROM core.matches
    UNION ALL SELECT DISTINCT 'issues', run_id FROM core.issues
    UNION ALL SELECT DISTINCT 'source_health', run_id FROM core.source_health
) ANTI JOIN core.runs USING (run_id);
