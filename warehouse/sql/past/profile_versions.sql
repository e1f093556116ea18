-- States that had begun by the chosen run.
CREATE VIEW core.profile_versions AS
SELECT p.* REPLACE (
    CASE WHEN last.run_id IS NULL
         THEN (SELECT run_id FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1) ELSE p.last_run_id END AS last_run_id
)
FROM published.core.profile_versions AS p
SEMI JOIN core.runs AS first ON first.run_id = p.run_id
LEFT JOIN core.runs AS last ON last.run_id = p.last_run_id;
