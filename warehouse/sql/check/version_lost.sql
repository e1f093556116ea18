-- The last state of a call is what is known of it, and says whether its source still lists it.
SELECT c.call_id || ': its last state is lost or not what is known of it' AS why
FROM core.calls AS c LEFT JOIN core.call_versions AS v ON v.call_id = c.call_id AND v.next_run_id IS NULL
WHERE v.content_sha256 IS DISTINCT FROM c.content_sha256 OR v.status IS DISTINCT FROM c.status
   OR c.in_latest_run IS DISTINCT FROM coalesce(v.last_run_id = (SELECT run_id FROM mart.latest_run), false);
