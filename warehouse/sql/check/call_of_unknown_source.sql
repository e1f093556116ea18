-- Of the source of each listed call the latest run says how it went.
SELECT source || ': lists calls, and the run does not say how it went' AS why
FROM core.calls ANTI JOIN mart.source_health USING (source)
WHERE in_latest_run GROUP BY source;
