-- Calls as the chosen run had them; where they were read is that of the first reading in the state that they were in.
CREATE VIEW core.calls AS
SELECT
    v.* EXCLUDE (version, run_id, valid_from, last_run_id, next_run_id, valid_to, changed, seen_on),
    c.first_seen_on,
    list_max(v.seen_on) AS last_seen_on,
    v.last_run_id = (SELECT run_id FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1) AS in_latest_run
FROM core.call_versions AS v JOIN published.core.calls AS c USING (call_id)
WHERE v.next_run_id IS NULL;
