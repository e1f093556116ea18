-- The least grant is not above the largest, nor are the least costs.
SELECT call_id || ': grants from ' || grant_min_eur || ' to ' || grant_max_eur AS why
FROM core.calls WHERE grant_min_eur > grant_max_eur
UNION ALL
SELECT call_id || ': costs from ' || eligible_costs_min_eur || ' to ' || eligible_costs_max_eur
FROM core.calls WHERE eligible_costs_min_eur > eligible_costs_max_eur;
