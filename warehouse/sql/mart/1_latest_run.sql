-- The one row is the latest run.
CREATE VIEW mart.latest_run AS
SELECT * FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1;
