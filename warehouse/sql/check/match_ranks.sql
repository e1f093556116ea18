-- Ranks of a profile are 1 to n without gaps.
SELECT as_of || ' ' || profile_id || ': ranks are not 1 to n' AS why FROM core.matches
GROUP BY run_id, as_of, profile_id HAVING min(rank) <> 1 OR max(rank) <> count(*) OR count(DISTINCT rank) <> count(*);
