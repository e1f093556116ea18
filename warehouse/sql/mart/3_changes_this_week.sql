-- A row is one thing about one call that the latest run has otherwise than the last run of an earlier day.
CREATE VIEW mart.changes_this_week AS
FROM mart.changes_since((SELECT max(r.as_of) FROM core.runs AS r JOIN mart.latest_run AS l ON r.as_of < l.as_of));
