-- A run matches a profile with a call once.
SELECT run_id || ' ' || profile_id || ' ~ ' || call_id || ': twice' AS why FROM core.matches
GROUP BY run_id, profile_id, call_id HAVING count(*) > 1
UNION ALL
SELECT profile_id || ' ~ ' || call_id || ': twice in this week''s matches' FROM mart.matches
GROUP BY profile_id, call_id HAVING count(*) > 1;
