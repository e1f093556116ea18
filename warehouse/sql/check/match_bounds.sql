-- Scores are within 0 and 1, percentiles within 0 and 100, cosines of evidence within -1 and 1.
SELECT profile_id || ' ~ ' || call_id || ': score, percentile or evidence out of bounds' AS why FROM core.matches
WHERE NOT coalesce(
    score BETWEEN 0 AND 1 AND percentile BETWEEN 0 AND 100
    AND len(list_filter(evidence, lambda e: NOT coalesce(e.weight BETWEEN -1.0001 AND 1.0001, false))) = 0,
    false
);
