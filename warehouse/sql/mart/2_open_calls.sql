-- A row is a call that is open as of the latest run, with the next deadline a newcomer can meet.
CREATE VIEW mart.open_calls AS
WITH run AS (SELECT * FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1)
SELECT
    c.*,
    n.next_deadline,
    n.next_deadline - run.as_of AS days_left
FROM core.calls AS c
CROSS JOIN run
LEFT JOIN (
    SELECT d.call_id, min(d.on_date) AS next_deadline
    FROM mart.deadlines AS d CROSS JOIN run AS r
    WHERE d.entry AND d.on_date >= r.as_of
    GROUP BY d.call_id
) AS n USING (call_id)
WHERE c.status = 'open' AND c.in_latest_run;
