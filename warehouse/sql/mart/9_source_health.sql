-- A row is a source in the latest run: its state, how old what it shows is, and what it no longer lists.
CREATE VIEW mart.source_health AS
SELECT
    h.*,
    r.as_of - CAST(h.last_good_at AS DATE) AS age_days, -- from last_good_at to the run's day
    coalesce(c.open_calls, 0) AS open_calls, -- calls of it with the status open
    coalesce(c.not_seen, 0) AS not_seen -- calls seen once that its latest good crawl lacks
FROM core.source_health AS h
JOIN mart.latest_run AS r USING (run_id)
LEFT JOIN (
    SELECT
        source,
        count(*) FILTER (status = 'open' AND in_latest_run) AS open_calls,
        count(*) FILTER (NOT in_latest_run) AS not_seen
    FROM core.calls GROUP BY source
) AS c USING (source);
