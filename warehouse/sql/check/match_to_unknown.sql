-- Every match of the latest run joins a known profile and a call that is open.
SELECT m.profile_id || ' ~ ' || m.call_id || ': unknown profile, or a call that is not open' AS why
FROM core.matches AS m
LEFT JOIN core.profiles AS p ON p.id = m.profile_id
LEFT JOIN mart.open_calls AS c USING (call_id)
WHERE m.run_id = (SELECT run_id FROM mart.latest_run)
  AND (p.id IS NULL OR c.call_id IS NULL);
