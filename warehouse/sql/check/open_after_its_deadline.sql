-- No call is open when the last deadline a newcomer can meet is past.
SELECT call_id || ': open, but its last deadline was ' || max(on_date) AS why
FROM mart.open_calls JOIN core.deadlines USING (call_id)
WHERE entry
GROUP BY call_id
HAVING max(on_date) < (SELECT as_of FROM mart.latest_run);
