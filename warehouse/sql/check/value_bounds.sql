-- Rates and readiness levels are within their scales, amounts and numbers above zero.
SELECT call_id || ': rate, TRL, amount or number out of bounds' AS why FROM core.calls
WHERE funding_rate NOT BETWEEN 0 AND 1 OR funding_rate_sme NOT BETWEEN 0 AND 1 OR own_contribution_min_rate NOT BETWEEN 0 AND 1
   OR trl_min NOT BETWEEN 1 AND 9 OR trl_max NOT BETWEEN 1 AND 9 OR trl_min > trl_max
   OR least(budget_total_eur, call_budget_total_eur, grant_min_eur, grant_max_eur, eligible_costs_min_eur, eligible_costs_max_eur) <= 0
   OR remaining_budget_eur < 0 OR own_contribution_min_eur < 0
   OR least(expected_grants, consortium.min_partners, consortium.min_countries) <= 0;
