-- A call has one row, whatever it was read from, and is open once.
SELECT call_id || ': twice among the calls' AS why FROM core.calls GROUP BY call_id HAVING count(*) > 1
UNION ALL
SELECT call_id || ': twice among the open calls' FROM mart.open_calls GROUP BY call_id HAVING count(*) > 1;
