-- A row is a call that one may apply to as far as is stated, as of the latest run: open, or with an opening that is
-- not stated and an end ahead, or begun and open until its money is spent. With the next deadline a newcomer can meet.
CREATE VIEW mart.open_calls AS
WITH run AS (FROM mart.latest_run)
SELECT
    c.*,
    n.next_deadline,                        -- soonest that a newcomer can meet, from the run's day on; NULL: none is stated
    n.next_deadline - run.as_of AS days_left -- from the run's day to next_deadline
FROM core.calls AS c
CROSS JOIN run
LEFT JOIN (
    SELECT d.call_id, min(d.on_date) AS next_deadline
    FROM core.deadlines AS d CROSS JOIN run AS r
    WHERE d.entry AND d.on_date >= r.as_of
    GROUP BY d.call_id
) AS n USING (call_id)
WHERE c.in_latest_run AND (
    c.status = 'open'
    OR (c.status = 'unknown' AND (
        n.next_deadline IS NOT NULL OR (c.opens_on <= run.as_of AND c.until_spent AND len(c.deadlines) = 0)
    ))
);
