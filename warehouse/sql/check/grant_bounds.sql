-- The least grant is not above the largest.
SELECT call_id || ': grants from ' || grant_min_eur || ' to ' || grant_max_eur AS why
FROM core.calls WHERE grant_min_eur > grant_max_eur;
