-- States that had begun by the chosen run; what came after is not told.
CREATE VIEW core.call_versions AS
WITH chosen AS (SELECT * FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1)
SELECT v.* REPLACE (
    CASE WHEN last.run_id IS NULL THEN chosen.run_id ELSE v.last_run_id END AS last_run_id,
    next.run_id AS next_run_id,
    CASE WHEN next.run_id IS NOT NULL THEN v.valid_to END AS valid_to,
    list_filter(v.seen_on, lambda day: day <= CAST(chosen.started_at AS DATE)) AS seen_on
)
FROM published.core.call_versions AS v
CROSS JOIN chosen
SEMI JOIN core.runs AS first ON first.run_id = v.run_id
LEFT JOIN core.runs AS last ON last.run_id = v.last_run_id
LEFT JOIN core.runs AS next ON next.run_id = v.next_run_id;
