-- Scores are within 0 and 1, percentiles within 0 and 100.
SELECT profile_id || ' ~ ' || call_id || ': score or percentile out of bounds' AS why FROM core.matches
WHERE NOT coalesce(score BETWEEN 0 AND 1 AND percentile BETWEEN 0 AND 100, false);
