-- Nobody is told yes or no without the words that say so.
SELECT profile_id || ' ~ ' || call_id || ': ' || rule.rule || ' is ' || rule.verdict || ' without a clause' AS why
FROM (SELECT run_id, profile_id, call_id, unnest(eligibility.rules) AS rule FROM core.matches)
WHERE rule.verdict <> 'unknown' AND coalesce(rule.clause, '') = '';
