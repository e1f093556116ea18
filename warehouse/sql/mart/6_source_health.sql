-- A row is a source in the latest run: its state, and how old what it shows is.
CREATE VIEW mart.source_health AS
SELECT h.*, r.as_of - CAST(h.last_good_at AS DATE) AS age_days
FROM core.source_health AS h
JOIN (SELECT * FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1) AS r USING (run_id);
