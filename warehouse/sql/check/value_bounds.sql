-- Rates and readiness levels are within their scales, amounts above zero.
SELECT call_id || ': rate, TRL or amount out of bounds' AS why FROM core.calls
WHERE funding_rate NOT BETWEEN 0 AND 1 OR trl_min NOT BETWEEN 1 AND 9 OR trl_max NOT BETWEEN 1 AND 9
   OR trl_min > trl_max OR least(budget_total_eur, call_budget_total_eur, grant_min_eur, grant_max_eur) <= 0;
