-- A row is one entry deadline of an open call from the latest run's day on, soonest first.
CREATE VIEW mart.deadlines_ahead AS
SELECT
    d.on_date, d."at", d.kind, d.printed,
    d.on_date - (SELECT as_of FROM mart.latest_run) AS days_left, -- from the run's day to this very deadline
    o.title, o.identifier, o.programme, o.level, o.url, o.call_id, d.position
FROM core.deadlines AS d JOIN mart.open_calls AS o USING (call_id)
WHERE d.entry AND d.on_date >= o.next_deadline
ORDER BY d.on_date, o.call_id, d.position;
