-- A row is one profile as the latest run used it.
CREATE VIEW core.profiles AS
SELECT * EXCLUDE (version, run_id, last_run_id) FROM core.profile_versions
WHERE last_run_id = (SELECT run_id FROM core.runs ORDER BY started_at DESC, run_id DESC LIMIT 1);
